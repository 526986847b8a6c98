"""The event loop of a segment worker: a thread of its own, and executor threads for its blocking calls.

A `concurrent.futures` call takes two locks, a semaphore and two futures chained by callbacks, 95 µs of CPU beside an
idle loop; a frame has seven such calls.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

_Call = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]
BLOCKING_THREADS = 32
T = TypeVar("T")


class LoopExecutor(ThreadPoolExecutor):
    """An executor for `run_in_executor` and `to_thread` of one loop, and nothing else; it returns that loop's futures.

    It is a ThreadPoolExecutor only by inheritance, since asyncio accepts nothing else as its default. Its threads are
    daemons: await a call whose end matters.
    """

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most)
        self._most = most
        self._name = name
        self._started = self._unanswered = 0  # used in the loop's thread only
        self._calls: SimpleQueue[_Call] = SimpleQueue()

    # asyncio returns its own future unchanged, where it would chain one of concurrent.futures
    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Return the call's future.

        Call it in the loop's thread. A call that is cancelled before a thread takes it is not made.
        """
        future = asyncio.get_running_loop().create_future()
        self._unanswered += 1
        self._calls.put((future, call, args, kwargs))
        if self._started < min(self._unanswered, self._most):
            threading.Thread(target=self._run, name=f"{self._name}_{self._started}", daemon=True).start()
            self._started += 1
        return future

    def _run(self) -> None:
        while True:
            self._make(*self._calls.get())

    def _make(
        self, future: "asyncio.Future[Any]", call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        value = error = None
        try:
            if not future.cancelled():
                value = call(*args, **kwargs)
        except BaseException as raised:  # noqa: BLE001  raised where the call is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            future.get_loop().call_soon_threadsafe(self._answer, future, value, error)
        del future, error  # the error's traceback refers to this frame, and so to all arguments of the call

    def _answer(self, future: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
        self._unanswered -= 1
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


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
