"""Real workers and their hearts: when they begin to beat, and when they stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.valkeys import RunningValkey, running_valkey

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def running_worker(role: str, folder: Path, redis_url: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
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
    with (folder / f"{role}.log").open("wb") as log:
        command = [sys.executable, "-m", "worker", role]
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, start_new_session=True)
    try:
        yield worker, heart
    finally:
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


def test_the_heart_of_a_control_worker_stands_still_when_its_sweep_is_dead(valkey: RunningValkey, tmp_path: Path):
    with running_worker("control", tmp_path, valkey.url) as (worker, heart):
        await_that(beat_after(heart, 1.0))

        def sweeps() -> list[psutil.Process]:
            children = psutil.Process(worker.pid).children()
            return [one for one in children if "sweep" in one.cmdline() and one.status() != psutil.STATUS_ZOMBIE]

        await_that(lambda: len(sweeps()) == 1)
        sweeps()[0].kill()
        heart.unlink()
        with pytest.raises(AssertionError):
            await_that(heart.exists, seconds=7)
