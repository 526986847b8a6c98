"""Temporary files of a worker that was killed are removed by those that live on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.servers.apis import RunningApi
from tests.support.servers.simulators import eventually
from tests.support.servers.workers import running_worker

#: Has a file of a whole item under way, says where, and waits to be killed.
HOLDER = """
import time
from worker.context.local_copies import owned_folder
with owned_folder() as folder:
    (folder / "file").write_bytes(b"pixels")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_worker_removes_what_a_killed_one_left_while_it_runs(
    api: RunningApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with running_worker("deliver", api, heartbeat_file=tmp_path / "beats") as worker:
        assert eventually((tmp_path / "beats").exists, within_s=120)  # its first look at what is left is behind it
        command = [sys.executable, "-c", HOLDER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as holder:
            assert holder.stdout is not None
            folder = Path(holder.stdout.readline().strip())
            assert (folder / "file").exists()
            holder.kill()
            holder.wait(30)
        assert eventually(lambda: not folder.exists(), within_s=120)
        assert worker.poll() is None
