"""Threads of ours begin again after an error, and a thread that cannot ends its process."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from maskrelay import threads
from tests.support.drivers.dying_threads import end_thread
from tests.support.servers.simulators import eventually
from worker.context.lease_renewal import LeaseRenewal


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pauses, but after ten failures in a row."""
    monkeypatch.setattr(threads, "pause_after", lambda failures: None if failures >= 10 else 0.0)


def test_a_thread_begins_again_after_any_error_and_ends_when_its_work_does(
    impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [RuntimeError, SystemExit, KeyboardInterrupt]
    raised = iter(errors)

    def run() -> None:
        for error in raised:
            raise error

    thread = threads.start(run, "mine")
    thread.join(10)
    assert not thread.is_alive()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == errors
    assert "the thread mine failed and is restarted" in caplog.text


def test_a_thread_that_is_ended_from_outside_begins_again(impatient: None) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def run() -> None:
        begun.release()
        while not go_on.wait(0.01):
            pass

    thread = threads.start(run, "mine")
    assert begun.acquire(timeout=10)
    end_thread(thread)
    assert begun.acquire(timeout=10)
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()


PROCESS = """
import logging, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from maskrelay import threads
from tests.support.drivers.dying_threads import end_thread

logging.basicConfig(stream=sys.stderr)
threads.end_process_with_threads()
threads.end_process_with_threads()
{}
time.sleep(60)
"""
DEATHS = {
    "an error": "threading.Thread(target=lambda: 1 / 0, name='mine').start()",
    "a silent end": "threading.Thread(target=sys.exit, name='mine').start()",
    "in a pool": (
        "pool = ThreadPoolExecutor(1, thread_name_prefix='mine')\n"
        "pool.submit(int).result()\n"
        "end_thread(next(one for one in threading.enumerate() if one.name.startswith('mine')))\n"
        "pool.submit(int)"
    ),
    "failures in a row": "threads.pause_after = lambda n: None if n > 3 else 0\nthreads.start(lambda: 1 / 0, 'mine')",
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_process_ends_with_any_of_its_threads_and_says_why(death: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROCESS.format(death)], capture_output=True, text=True, timeout=50, check=False
    )
    assert ran.returncode == threads.EXIT_CODE, ran.stderr
    assert ran.stderr.count("CRITICAL") == 1
    assert "mine" in ran.stderr
    assert "died, so the process terminates" in ran.stderr


def test_work_of_a_pool_that_fails_ends_nothing() -> None:
    work = "pool = ThreadPoolExecutor(1)\nfor error in (ValueError, SystemExit):\n"
    work += "    def fail(): raise error\n    assert pool.submit(fail).exception(10)\nsys.exit(0)"
    ran = subprocess.run(
        [sys.executable, "-c", PROCESS.format(work)], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_renewal_goes_on_after_errors_and_after_the_end_of_its_thread(impatient: None) -> None:
    calls = []

    def renew() -> None:
        calls.append(threading.current_thread())
        if len(calls) == 1:
            raise RuntimeError("what nobody thought of")

    with LeaseRenewal(timedelta(seconds=0.01), renew):
        assert eventually(lambda: len(calls) > 2)
        end_thread(calls[-1])
        seen = len(calls)
        assert eventually(lambda: len(calls) > seen + 2)
