"""The slots in which requests are processed, and the queue in front of them."""

import asyncio
import time
from collections import deque

from simulator.meters import Level


class Slots:
    """`max_concurrent` × `instances` slots, which are given in the order of the requests. They may be
    resized at run time.

    A slot is passed on at the time when its work was due to end, not when this process noticed the end. Therefore a
    busy machine does not make the simulated one slower.
    """

    def __init__(self, max_concurrent: int, instances: int, capacity: Level) -> None:
        self.max_concurrent = max_concurrent
        self.instances = instances
        self.count = 0
        self._capacity = capacity
        self._in_use = 0
        self._line: deque[tuple[float, asyncio.Future[float]]] = deque()
        self.resize()

    async def take(self) -> float:
        """Wait for a slot, and return the time since which it is taken."""
        arrived = time.monotonic()
        if self._in_use < self.count:
            self._in_use += 1
            return arrived
        called: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._line.append((arrived, called))
        try:
            return await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self.free(time.monotonic())
            raise

    def free(self, at: float) -> None:
        """Free a slot whose work ended at `at`."""
        self._in_use -= 1
        self._call(at)

    def resize(self, *, max_concurrent: int | None = None, instances: int | None = None) -> None:
        """Change the number of slots to the new product. Slots in use above this number are not passed on."""
        self.max_concurrent = max_concurrent or self.max_concurrent
        self.instances = instances or self.instances
        at, count = time.monotonic(), self.max_concurrent * self.instances
        self._capacity.change(count - self.count, at)
        self.count = count
        self._call(at)

    def _call(self, at: float) -> None:
        while self._line and self._in_use < self.count:
            arrived, called = self._line.popleft()
            if not called.done():
                self._in_use += 1
                called.set_result(max(at, arrived))
