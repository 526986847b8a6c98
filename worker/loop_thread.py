"""A thread with an event loop that outlives the calls made into it."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from worker.loop_executor import LoopExecutor

BLOCKING_THREADS = 32
T = TypeVar("T")


class LoopThread:
    """Runs an event loop in its own thread, for the lifetime of the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # blocking calls to Redis and storage wait here; the default of six threads on two cores would be a bottleneck
        self._loop.set_default_executor(LoopExecutor(BLOCKING_THREADS, "blocking"))
        threading.Thread(target=self._run, name="segment-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in the calling thread for the coroutine's result, and return it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        self._loop.run_forever()
        raise RuntimeError("the event loop was stopped")  # callers of `run` would wait forever
