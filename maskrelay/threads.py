"""Background threads. A thread that fails is restarted, and a thread that fails repeatedly terminates its process.

A process without one of its threads would look healthy, although a part of its work would not be done. If the process
terminates with an error instead, its supervisor restarts it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from maskrelay.rules.restarts import failures_in_a_row, pause_after

log = logging.getLogger(__name__)
#: The exit code of a process that a failed thread terminated. It is EX_SOFTWARE of sysexits.h.
EXIT_CODE = 70


def start(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that calls `run`.

    If `run` raises any exception, even SystemExit, it is called again after a pause. The pauses grow. If `run` fails
    too many times in a row, the last exception ends the thread. If `end_process_with_threads` was called, this
    exception also terminates the process.
    """
    thread = threading.Thread(target=_keep_running, args=(run, name), name=name, daemon=True)
    thread.start()
    return thread


def _keep_running(run: Callable[[], None], name: str) -> None:
    failures = 0
    while True:
        began = time.monotonic()
        try:
            return run()
        except BaseException:
            failures = failures_in_a_row(failures, time.monotonic() - began)
            pause = pause_after(failures)
            if pause is None:
                raise
            log.exception("the thread %s failed and is restarted in %g s", name, pause)
        time.sleep(pause)


def end_process_with_threads() -> None:
    """Terminate the process when an exception ends one of its threads.

    This applies to all threads, including those of libraries and pools, and to processes that are forked from this one.
    """
    threading.excepthook = _on_dead_thread
    pools = logging.getLogger("concurrent.futures")
    if not any(isinstance(handler, _OnDeadPoolThread) for handler in pools.handlers):
        pools.addHandler(_OnDeadPoolThread(logging.CRITICAL))


def _on_dead_thread(dead: threading.ExceptHookArgs) -> None:
    name = dead.thread.name if dead.thread is not None else "unknown"
    error = dead.exc_value or dead.exc_type()
    log.critical("the thread %s died, so the process terminates", name, exc_info=error)
    os._exit(EXIT_CODE)


class _OnDeadPoolThread(logging.Handler):
    """A log handler that detects a dead thread of a `concurrent.futures` pool.

    Such a pool only logs the exception, with the level CRITICAL.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        name = threading.current_thread().name
        log.critical("the pool's thread %s died, so the process terminates", name, exc_info=error)
        os._exit(EXIT_CODE)
