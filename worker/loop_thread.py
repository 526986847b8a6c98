"""A thread with an event loop that outlives the calls made into it."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from worker.loop_executor import LoopExecutor

BLOCKING_THREADS = 32
T = TypeVar("T")


class LoopThread:
    """Runs an event loop in a thread of its own, for as long as the process lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # calls that block on Redis and storage wait here; two cores' default of six would hold up the hands
        self._loop.set_default_executor(LoopExecutor(BLOCKING_THREADS, "blocking"))
        threading.Thread(target=self._run, name="segment-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's value, waited for from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        self._loop.run_forever()
        raise RuntimeError("the event loop was stopped")  # who waits in `run` would wait without end
