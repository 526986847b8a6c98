"""The event loop of a segment worker.

It runs in a separate thread, and has an executor with threads for blocking calls. A call through the executor of
`concurrent.futures` takes two locks, a semaphore, and two futures that are linked by callbacks. That costs 95 µs of
CPU, and a frame needs seven calls. `LoopExecutor` needs less.
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
    """An executor for `run_in_executor` and `to_thread` of one event loop only. It returns futures of that loop.

    It inherits from ThreadPoolExecutor because asyncio accepts no other class as the default executor. Its threads are
    daemons, so await every call that must be completed.
    """

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most)
        self._most = most
        self._name = name
        self._started = self._unanswered = 0  # used only in the thread of the loop
        self._calls: SimpleQueue[_Call] = SimpleQueue()

    # asyncio returns a future of its own loop unchanged. It would link a future of concurrent.futures to a new future.
    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Return the future of the call. Use this method only in the thread of the loop.

        If the future is cancelled before a thread takes the call, the call is not made.
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
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
            future.get_loop().call_soon_threadsafe(self._answer, future, value, error)
        # This breaks a reference cycle, which would keep the arguments of the call in memory: the error's traceback
        # refers to this stack frame, and the frame would refer to the error.
        del future, error

    def _answer(self, future: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
        self._unanswered -= 1
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


class LoopThread:
    """An event loop that runs in its own thread, from `start` until the process ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # These threads wait for Redis and storage. asyncio's default, six threads for two cores, is too few.
        self._loop.set_default_executor(LoopExecutor(BLOCKING_THREADS, "blocking"))

    def start(self) -> None:
        threading.Thread(target=self._run, name="segment-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine in the loop, wait for its result in the calling thread, and return it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        self._loop.run_forever()
        # The error ends the process. Otherwise, callers of `run` would wait forever.
        raise RuntimeError("the event loop was stopped")
