"""One score at a time through the flow control: admitted, sent, reported."""

import asyncio
import random
import secrets
import time
from datetime import timedelta

from maskrelay.contract.jobs import Lane
from maskrelay.contract.wire import Row, RowAnswer
from maskrelay.errors import EndpointBusy, EndpointError, EndpointUnavailable, LedgerUnavailable
from maskrelay.ledger.flow import LONGEST_CALL, Admission, Flow, Transfer
from maskrelay.rules.gate import CANCELLED, GOOD, Report, report_of
from maskrelay.scoring.client import EndpointClient, Scored
from maskrelay.scoring.wires import IMAGE2D
from worker.canary import canary

#: A frame waits in hand this long at most for a gate; then it is given back.
PATIENCE = timedelta(seconds=5)
#: A waiter asks again at least this often, to keep its place.
ASK_AGAIN = timedelta(seconds=1)
CANARY = "canary"


class Scorer:
    """Scores rows, never more at once or faster than the flow allows."""

    def __init__(self, endpoint: EndpointClient[RowAnswer], flow: Flow, name: str) -> None:
        self._endpoint = endpoint
        self._flow = flow
        self._name = name
        self._child = secrets.token_hex(8)
        self._called: dict[str, asyncio.Event] = {}
        self._listening: asyncio.Task[None] | None = None

    async def score(self, row: Row, lane: Lane, frame: str, traceparent: str | None = None) -> Scored[RowAnswer]:
        """The answer for one row. `frame` names the input among those failing in a row.

        Raises EndpointError; EndpointBusy also when the gate stays closed for longer than is waited with pixels in
        hand; LedgerUnavailable when the flow cannot be asked, and then nothing was sent.
        """
        body = await asyncio.to_thread(IMAGE2D.encode, [row])
        return await self._send(await self._admitted(lane, body, row), body, row, frame, traceparent)

    async def ask_canary(self, lane: Lane) -> None:
        """Have the endpoint answer the canary; raises EndpointError if it does not."""
        await self.score(canary(), lane, CANARY)

    async def _admitted(self, lane: Lane, body: bytes, row: Row) -> str:
        """A slot for the row. Where the flow asks for a probe of a closed gate, the canary goes first."""
        waiter, called = secrets.token_hex(8), asyncio.Event()
        self._called[waiter] = called
        try:
            return await self._slot(waiter, called, lane, body, row)
        finally:
            del self._called[waiter]

    async def _slot(self, waiter: str, called: asyncio.Event, lane: Lane, body: bytes, row: Row) -> str:
        patience_ends = time.monotonic() + PATIENCE.total_seconds()
        while True:
            called.clear()
            slot = secrets.token_hex(8)
            admission = await asyncio.to_thread(self._ask, lane, waiter, slot, body, row)
            if admission.probe:
                await self._send(slot, IMAGE2D.encode([canary()]), canary(), CANARY, None)
                continue
            if admission.granted:
                return slot
            closed = admission.why in {"gate", "frozen"}
            if closed and time.monotonic() + admission.wait.total_seconds() > patience_ends:
                raise EndpointBusy(kind=admission.why, parked=True)
            if not closed:
                patience_ends = time.monotonic() + PATIENCE.total_seconds()
            await self._pause(called, min(admission.wait, ASK_AGAIN))

    def _ask(self, lane: Lane, waiter: str, slot: str, body: bytes, row: Row) -> Admission:
        size = {"bytes_up": len(body), "prompts": len(row.prompts)}
        return self._flow.admit(lane, waiter, slot, among=[self._name], child=self._child, **size)

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

    async def _send(self, slot: str, body: bytes, row: Row, frame: str, traceparent: str | None) -> Scored[RowAnswer]:
        report, transfer = CANCELLED, None
        try:
            scored = await self._endpoint.score(body, [row], request_id=slot, traceparent=traceparent)
            times = scored.seconds, scored.body_seconds
            report, transfer = GOOD, Transfer(scored.bytes_up, scored.bytes_down, len(row.prompts), *times)
            return scored
        except EndpointError as error:
            report = report_of(error)
            raise
        except Exception as error:
            report = Report("busy", keep_slot=True, reason=type(error).__name__)
            raise EndpointUnavailable(type(error).__name__) from error
        finally:
            await asyncio.shield(self._report(slot, report, frame, transfer))

    async def _report(self, slot: str, report: Report, frame: str, transfer: Transfer | None) -> None:
        await asyncio.to_thread(self._flow.report, self._name, slot, report, frame, random.random(), transfer)
