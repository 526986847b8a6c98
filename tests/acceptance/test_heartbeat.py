"""Real workers and their hearts: when they begin to beat, and when they stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from maskrelay.threads import EXIT_CODE
from tests.support.servers.valkeys import RunningValkey, running_valkey

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def running_worker(
    role: str, folder: Path, redis_url: str, **settings: str
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """The worker and its heartbeat file; killed with all it started."""
    (folder / "storage").mkdir(exist_ok=True)
    heart = folder / f"{role}.heartbeat"
    heart.touch()
    os.utime(heart, (0, 0))  # an earlier worker's
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_HEARTBEAT_FILE": str(heart),
        "MASKRELAY_REDIS_URL": redis_url,
        "MASKRELAY_STORAGE_URL": (folder / "storage").as_uri(),
        "MASKRELAY_SERVER_KEY": "k" * 32,
    }
    environment |= settings
    with (folder / f"{role}.log").open("wb") as log:
        command = [sys.executable, "-m", "worker", role]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, start_new_session=True)
    try:
        yield worker, heart
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def await_that(true: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def beat_after(heart: Path, moment: float) -> Callable[[], bool]:
    return lambda: heart.exists() and heart.stat().st_mtime > moment


def test_a_heart_beats_again_and_again_and_after_redis_came_back(tmp_path: Path):
    with (
        running_valkey(persist=True, data_dir=tmp_path) as valkey,
        running_worker("deliver", tmp_path, valkey.url) as (_, heart),
    ):
        await_that(beat_after(heart, 1.0))
        first = heart.stat().st_mtime
        await_that(beat_after(heart, first))
        valkey.restart()
        await_that(beat_after(heart, time.time() + 1))  # not the one that was due anyway


def test_an_idle_segment_worker_announces_its_endpoints_again_after_redis_forgot_them(tmp_path: Path):
    endpoint = {"MASKRELAY_ENDPOINT_URL": "http://127.0.0.1:9/score", "MASKRELAY_ENDPOINT_KEY": "k"}
    with running_valkey() as valkey, running_worker("segment", tmp_path, valkey.url, **endpoint):
        await_that(lambda: valkey.client.hkeys("mr:endpoints") == [b"default"])
        valkey.client.flushall()
        await_that(lambda: valkey.client.hkeys("mr:endpoints") == [b"default"])


def sweep_of(worker: "subprocess.Popen[bytes]", other_than: int = 0) -> psutil.Process | None:
    """The control worker's sweep, unless its process id is `other_than`."""
    children = psutil.Process(worker.pid).children()
    sweeps = [one for one in children if one.pid != other_than and "sweep" in one.cmdline()]
    return sweeps[0] if sweeps and sweeps[0].status() != psutil.STATUS_ZOMBIE else None


def test_a_sweep_that_is_killed_alone_is_started_again(valkey: RunningValkey, tmp_path: Path):
    with running_worker("control", tmp_path, valkey.url) as (worker, heart):
        await_that(beat_after(heart, 1.0))
        await_that(lambda: sweep_of(worker) is not None)
        first = sweep_of(worker)
        first.kill()
        await_that(lambda: sweep_of(worker, other_than=first.pid) is not None)
        heart.unlink()
        await_that(heart.exists)
        assert worker.poll() is None


def test_a_control_worker_whose_sweep_cannot_be_kept_up_ends_with_an_error(
    valkey: RunningValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if sys.orig_argv[-2:-1] == ['sweep']: sys.exit('it does not start')\n"
        "import maskrelay.rules.restarts as restarts\n"
        "restarts.MOST_FAILURES = 2\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running_worker("control", tmp_path, valkey.url) as (worker, _):
        assert worker.wait(60) == EXIT_CODE
    assert "it failed 2 times in a row, so the control worker ends" in (tmp_path / "control.log").read_text()


@pytest.mark.parametrize("role", ["assemble", "control"])
def test_a_worker_that_is_killed_alone_leaves_no_child_behind(valkey: RunningValkey, tmp_path: Path, role: str):
    with running_worker(role, tmp_path, valkey.url) as (worker, heart):
        await_that(beat_after(heart, 1.0))
        children = psutil.Process(worker.pid).children()
        assert len(children) == (2 if role == "control" else 1)
        worker.kill()
        worker.wait()
        assert not psutil.wait_procs(children, timeout=60)[1]
