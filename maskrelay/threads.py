"""Background threads: a thread that fails is restarted, and one that keeps failing ends its process with an error.

A process that lost a thread would look healthy while part of its work is not done. When the process ends, its
supervisor notices and restarts it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from maskrelay.rules.restarts import failures_in_a_row, pause_after

log = logging.getLogger(__name__)
#: The exit code of a process that a failed thread ended; EX_SOFTWARE of sysexits.h.
EXIT_CODE = 70


def start(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that calls `run` until it returns.

    After any error, including those that end a thread silently, `run` is called again, after growing pauses. If it
    keeps failing, the last error ends the thread, and with it the process if `end_process_with_threads` was called.
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
            log.exception("the thread %s failed and begins again in %g s", name, pause)
        time.sleep(pause)


def end_process_with_threads() -> None:
    """Let an error that ends a thread end the whole process, in this process and in every process forked from it.

    This applies to every thread, whoever started it, including the threads of pools.
    """
    threading.excepthook = _on_dead_thread
    pools = logging.getLogger("concurrent.futures")
    if not any(isinstance(handler, _OnDeadPoolThread) for handler in pools.handlers):
        pools.addHandler(_OnDeadPoolThread(logging.CRITICAL))


def _on_dead_thread(dead: threading.ExceptHookArgs) -> None:
    name = dead.thread.name if dead.thread is not None else "unknown"
    error = dead.exc_value or dead.exc_type()
    log.critical("the thread %s died; the process ends with it", name, exc_info=error)
    os._exit(EXIT_CODE)


class _OnDeadPoolThread(logging.Handler):
    """Detects a dead thread of a `concurrent.futures` pool, which only logs the error, as critical."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        name = threading.current_thread().name
        log.critical("the pool's thread %s died; the process ends with it", name, exc_info=error)
        os._exit(EXIT_CODE)
