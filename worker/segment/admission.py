"""The wait of a score for its admission by the flow control.

In each child process, at most one score waits for each lane and set of endpoints, so few calls to Redis are made.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from maskrelay.contract.records.job import Lane
from maskrelay.errors import EndpointBusy, LedgerUnavailable
from maskrelay.ledger.flow_control import LONGEST_CALL, NO_LEAN, Admission, Flow
from worker.context.slot_inventory import Slots

#: The longest time that a prepared frame waits for a gate to open. A frame that would have to wait longer is released.
PATIENCE = timedelta(seconds=5)
#: The longest pause between two requests of a waiter to the flow control. A waiter that makes no request for three
#: seconds loses its position in the queue.
ASK_AGAIN = timedelta(seconds=1)
#: The seconds after a request of a waiter in which the waiter may use a slot that a call grants. Later, it asks again,
#: because the lease of the slot may have begun at any time since the request, and must not end before the score.
CALL_HOLDS = 2.0
#: The seconds for which the state of a gate is cached.
GLANCE = 0.25
#: A wait because of the limit on bytes counts as recent for this many seconds.
BINDING = 2.0
#: The time that `closed_for` returns for a frame that may use no endpoint at all.
NOWHERE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A request for admission: the job, its lane, and the endpoints that may be used (`among`)."""

    job: str
    lane: Lane
    among: tuple[str, ...]
    traceparent: str | None = None


@dataclass(slots=True)
class Waiter:
    """A score that waits for its admission."""

    name: str
    slot: str
    #: Set when the flow control calls the waiter. The call says that the slot was granted at `endpoint`, or, if
    #: `endpoint` is empty, that the waiter should ask again.
    called: asyncio.Event
    endpoint: str = ""


class Size(NamedTuple):
    """The size of a score, by which the flow control limits the bytes per second."""

    #: The size of the image2d request, in bytes.
    bytes_up: int
    #: The number of prompts of all rows.
    prompts: int
    #: The size of the lean2d request, in bytes, for each endpoint that gets a lean2d request instead.
    lean: Mapping[str, int]


class Admissions:
    """The waiters of one child process. An instance belongs to one event loop."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.slots = Slots(flow.slot_lease)
        self._child = self.slots.child
        self._turns: dict[tuple[Lane, tuple[str, ...]], asyncio.Lock] = {}
        self._waiters: dict[str, Waiter] = {}
        self._listening: asyncio.Task[None] | None = None
        self._glances: dict[str, tuple[float, timedelta]] = {}
        self._closes_at = math.inf
        self._bytes_waited_at = -math.inf

    def close(self, at: float) -> None:
        """Let no score begin after `at` (monotonic seconds), because the worker ends.

        Other workers take the remaining frames.
        """
        self._closes_at = at

    async def closed_for(self, among: Sequence[str]) -> timedelta:
        """Return the time until the first gate of `among` opens, or zero if a gate is open.

        The result may be slightly out of date.
        """
        return min([await self._glance(name) for name in among], default=NOWHERE)

    async def _glance(self, name: str) -> timedelta:
        seen, closed_for = self._glances.get(name, (0.0, timedelta(0)))
        if time.monotonic() - seen > GLANCE:
            closed_for = (await asyncio.to_thread(self._flow.state, name)).closed_for
            self._glances[name] = time.monotonic(), closed_for
        return closed_for

    def note_closed(self, closed_for: Mapping[str, timedelta]) -> None:
        """Note for how long each gate is still closed, as another call to the flow control has just reported."""
        now = time.monotonic()
        self._glances |= {name: (now, left) for name, left in closed_for.items()}

    def bytes_bind(self) -> bool:
        """Return whether scores have recently waited because of the limit on bytes."""
        return time.monotonic() - self._bytes_waited_at < BINDING

    async def next(
        self, asked: ScoreRequest, slot: str, bytes_up: int, prompts: int, lean: Mapping[str, int] = NO_LEAN
    ) -> Admission:
        """Wait until a score, or a probe of a closed gate, may begin in `slot`, and return its admission.

        `bytes_up`, `prompts` and `lean` are explained at `Size`. Raises EndpointBusy (with `come_back_s`) if the gates
        stay closed for longer than a prepared frame waits, or if the worker ends. Raises LedgerUnavailable if the flow
        control cannot be reached. In this case, nothing may be sent.
        """
        waiter = Waiter(secrets.token_hex(8), slot, asyncio.Event())
        async with self._turns.setdefault((asked.lane, asked.among), asyncio.Lock()):
            self._waiters[waiter.name] = waiter
            try:
                return await self._granted(asked, waiter, Size(bytes_up, prompts, lean))
            except BaseException:
                await asyncio.shield(self._withdraw(asked, waiter))
                raise
            finally:
                del self._waiters[waiter.name]

    async def _withdraw(self, asked: ScoreRequest, waiter: Waiter) -> None:
        """Tell the flow control that the waiter gives up.

        If Redis does not respond, the flow control forgets the waiter after a few seconds. If the slot was granted, the
        next report of the slots of this child process frees it.
        """
        with contextlib.suppress(LedgerUnavailable):
            await asyncio.to_thread(self._flow.withdraw, waiter.name, waiter.slot, among=asked.among, child=self._child)

    async def _granted(self, asked: ScoreRequest, waiter: Waiter, size: Size) -> Admission:
        def ask() -> Admission:
            return self._flow.admit(
                asked.lane,
                waiter.name,
                waiter.slot,
                among=asked.among,
                child=self._child,
                bytes_up=size.bytes_up,
                prompts=size.prompts,
                lean=size.lean,
            )

        patience_ends = time.monotonic() + PATIENCE.total_seconds()
        while True:
            if time.monotonic() >= self._closes_at:
                raise EndpointBusy(kind="stopping", come_back_s=0.0)
            waiter.called.clear()
            waiter.endpoint = ""
            asked_at = time.monotonic()
            admission = await asyncio.to_thread(ask)
            if admission.granted:
                return admission
            if admission.why == "bytes":
                self._bytes_waited_at = time.monotonic()
            closed = admission.why in {"gate", "frozen"}
            if closed and time.monotonic() + admission.wait.total_seconds() > patience_ends:
                raise EndpointBusy(kind=admission.why, come_back_s=admission.wait.total_seconds())
            if not closed:
                patience_ends = time.monotonic() + PATIENCE.total_seconds()
            await self._pause(waiter, min(admission.wait, ASK_AGAIN))
            if waiter.endpoint and time.monotonic() < min(asked_at + CALL_HOLDS, self._closes_at):
                return Admission(True, False, timedelta(0), "", waiter.endpoint, full=True)

    async def _pause(self, waiter: Waiter, wait: timedelta) -> None:
        """Wait for the time `wait`, or until the flow control calls the waiter."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await waiter.called.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        """Pass calls of the flow control on to the waiters of this child process, until there are no waiters.

        A call to a waiter that no longer exists is ignored. The waiter has learned of its slot by asking again, or it
        has withdrawn, which frees the slot.
        """
        while self._waiters:
            try:
                call = await asyncio.to_thread(self._flow.await_call, self._child, LONGEST_CALL)
            except LedgerUnavailable:
                await asyncio.sleep(ASK_AGAIN.total_seconds())
                continue
            if call and (waiter := self._waiters.get(call.waiter)):
                waiter.endpoint = call.endpoint
                waiter.called.set()
