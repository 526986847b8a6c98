"""A single worker as a real process, with the ledger and folder of a test API."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers.apis import RunningApi

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running_worker(role: str, api: RunningApi, **settings: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python -m worker ROLE` until the block ends. `deliver_threads=8` becomes MASKRELAY_DELIVER_THREADS."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": api.settings.redis_url.get_secret_value(),
        "MASKRELAY_STORAGE_URL": api.settings.storage_url,
        "MASKRELAY_SERVER_KEY": api.settings.server_keys[0].decode(),
        "MASKRELAY_CALLBACK_ALLOW": "127.0.0.1",
        **{f"MASKRELAY_{name.upper()}": str(value) for name, value in settings.items()},
    }
    with (api.folder.parent / f"{role}.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "worker", role], cwd=ROOT, env=environment, stderr=log)
    try:
        yield worker
    finally:
        worker.terminate()
        try:
            worker.wait(60)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
