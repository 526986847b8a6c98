"""A budget of memory that the frames of a child process share. Memory is reserved before it is used."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ByteBudget:
    """A budget of `total` bytes, which belongs to one event loop.

    `try_take` and `release` may be called from any thread. Requests are served in order, so small requests do not
    overtake a large one. Callers release their bytes in a `finally` block, so nothing stays reserved forever.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    def try_take(self, amount: int) -> bool:
        """Reserve `amount` bytes at once if they are free and no other request waits.

        Return whether they were reserved.
        """
        with self._lock:
            if self._waiting or amount > self._free:
                return False
            self._free -= amount
            return True

    def release(self, amount: int) -> None:
        with self._lock:
            self._free += amount
            self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            amount, loop, turn = self._waiting.popleft()
            self._free -= amount
            loop.call_soon_threadsafe(self._called, amount, turn)

    def _called(self, amount: int, turn: "asyncio.Future[None]") -> None:
        if turn.done():  # it was cancelled in the meantime
            self.release(amount)
        else:
            turn.set_result(None)

    async def take(self, amount: int) -> None:
        """Wait until `amount` bytes are reserved. `amount` must not be more than the total."""
        assert amount <= self.total
        if self.try_take(amount):
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        waiting = (amount, loop, turn)
        with self._lock:
            self._waiting.append(waiting)
            self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            self._left(waiting)
            raise

    def _left(self, waiting: "tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]") -> None:
        """Leave the queue. If the bytes were granted at the same moment, release them."""
        amount, _, turn = waiting
        with self._lock:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._serve()
                return
        if turn.done() and not turn.cancelled():
            self.release(amount)

    @asynccontextmanager
    async def of(self, amount: int) -> AsyncIterator[None]:
        """Reserve `amount` bytes until the block ends, but not more than the total."""
        taken = min(amount, self.total)
        await self.take(taken)
        try:
            yield
        finally:
            self.release(taken)
