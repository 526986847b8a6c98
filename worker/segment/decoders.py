"""The fair sharing of the decoding threads of a child process among tenants, by the seconds that their files take."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Decoders:
    """A semaphore that admits one file for each decoding thread. An instance belongs to one event loop.

    A free thread goes to the waiting tenant that has used the fewest seconds. The files of one tenant are served in
    order. So if one tenant has many slow files, an image of another tenant waits for at most one of them. A tenant gets
    no credit for time in which it had no files.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = places
        self._clock = clock
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._running: dict[str, int] = defaultdict(int)
        self._used: dict[str, float] = defaultdict(float)
        self._uncounted: dict[str, float] = defaultdict(float)

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a thread for one file of this tenant, and occupy it until the block ends."""
        self._come(tenant)
        await self._take(tenant)
        self._running[tenant] += 1
        began = self._clock()
        try:
            yield
        finally:
            self._count(tenant, self._clock() - began)
            self._running[tenant] -= 1
            if not self._running[tenant]:
                del self._running[tenant]
            self._leave_place()

    def whole_seconds(self, tenant: str) -> int:
        """Return the seconds that the tenant has used since the last call, rounded down.

        The fraction of a second that remains is included in the next call.
        """
        seconds = int(self._uncounted[tenant])
        self._uncounted[tenant] -= seconds
        return seconds

    def _come(self, tenant: str) -> None:
        present = {*self._waiting, *self._running}
        if tenant not in present:
            least = min((self._used[other] for other in present), default=0.0)
            self._used[tenant] = max(self._used[tenant], least)

    def _count(self, tenant: str, seconds: float) -> None:
        self._used[tenant] += seconds
        self._uncounted[tenant] += seconds

    async def _take(self, tenant: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._drop(tenant, turn)
            else:  # the thread was given to this file just before the cancellation
                self._leave_place()
            raise

    def _drop(self, tenant: str, turn: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(tenant, deque())
        if turn in waiting:
            waiting.remove(turn)
        if not waiting:
            self._waiting.pop(tenant, None)

    def _leave_place(self) -> None:
        """Give the free thread to a waiting tenant, if there is one."""
        while self._waiting:
            tenant = min(self._waiting, key=self._used.__getitem__)
            turn = self._waiting[tenant].popleft()
            if not self._waiting[tenant]:
                del self._waiting[tenant]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
