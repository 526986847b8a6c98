"""Wait for the flow control to admit a score, with few requests: one waiter per child and lane at a time."""

import asyncio
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.contract.jobs import Lane
from maskrelay.errors import EndpointBusy, LedgerUnavailable
from maskrelay.ledger.flow import LONGEST_CALL, Admission, Flow
from worker.sender import Slots

#: A frame waits in hand this long at most for a gate; then it is given back.
PATIENCE = timedelta(seconds=5)
#: A waiter asks again at least this often, to keep its place.
ASK_AGAIN = timedelta(seconds=1)
#: A gate's state is asked for again after so many seconds.
GLANCE = 0.25
#: Where no endpoint may be used at all, a frame is looked at again after so long.
NOWHERE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Asked:
    """On whose behalf is scored, and where: `among` names the endpoints that may be used."""

    job: str
    lane: Lane
    among: tuple[str, ...]
    traceparent: str | None = None


class Admissions:
    """The waiters of one child. Belongs to one event loop."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.slots = Slots(flow.slot_lease)
        self._child = self.slots.child
        self._turns: dict[tuple[Lane, tuple[str, ...]], asyncio.Lock] = {}
        self._called: dict[str, asyncio.Event] = {}
        self._listening: asyncio.Task[None] | None = None
        self._glances: dict[str, tuple[float, timedelta]] = {}
        self._closes_at = math.inf

    def close(self, at: float) -> None:
        """Let no score begin after `at` (monotonic seconds), since the worker ends: its frame goes to another."""
        self._closes_at = at

    async def closed_for(self, among: Sequence[str]) -> timedelta:
        """For how long no gate of `among` lets anything through; zero when one does. A moment old at most."""
        return min([await self._glance(name) for name in among], default=NOWHERE)

    async def _glance(self, name: str) -> timedelta:
        seen, closed_for = self._glances.get(name, (0.0, timedelta(0)))
        if time.monotonic() - seen > GLANCE:
            closed_for = (await asyncio.to_thread(self._flow.look, name)).closed_for
            self._glances[name] = time.monotonic(), closed_for
        return closed_for

    async def next(self, asked: Asked, slot: str, bytes_up: int, prompts: int) -> Admission:
        """Wait until a score may begin in `slot`; a probe is admitted as one.

        Raises EndpointBusy (`parked`, `come_back_s`) when the gates stay closed for longer than is waited with pixels
        in hand, or the worker ends; LedgerUnavailable when the flow cannot be asked, and then nothing may be sent.
        """
        waiter, called = secrets.token_hex(8), asyncio.Event()
        async with self._turns.setdefault((asked.lane, asked.among), asyncio.Lock()):
            self._called[waiter] = called
            try:
                return await self._granted(asked, waiter, called, slot, bytes_up, prompts)
            finally:
                del self._called[waiter]

    async def _granted(
        self, asked: Asked, waiter: str, called: asyncio.Event, slot: str, bytes_up: int, prompts: int
    ) -> Admission:
        def ask() -> Admission:
            size = {"bytes_up": bytes_up, "prompts": prompts}
            return self._flow.admit(asked.lane, waiter, slot, among=asked.among, child=self._child, **size)

        patience_ends = time.monotonic() + PATIENCE.total_seconds()
        while True:
            if time.monotonic() >= self._closes_at:
                raise EndpointBusy(kind="stopping", parked=True, come_back_s=0.0)
            called.clear()
            admission = await asyncio.to_thread(ask)
            if admission.granted:
                return admission
            closed = admission.why in {"gate", "frozen"}
            if closed and time.monotonic() + admission.wait.total_seconds() > patience_ends:
                raise EndpointBusy(kind=admission.why, parked=True, come_back_s=admission.wait.total_seconds())
            if not closed:
                patience_ends = time.monotonic() + PATIENCE.total_seconds()
            await self._pause(called, min(admission.wait, ASK_AGAIN))

    async def _pause(self, called: asyncio.Event, wait: timedelta) -> None:
        """Until `wait` is over, or the waiter is called."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await called.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        """Pass on the calls of this child's waiters, as long as any waits; for one that is gone, to another."""
        while self._called:
            try:
                name = await asyncio.to_thread(self._flow.await_call, self._child, LONGEST_CALL)
            except LedgerUnavailable:
                await asyncio.sleep(ASK_AGAIN.total_seconds())
                continue
            if name and self._called:
                self._called.get(name, next(iter(self._called.values()))).set()
