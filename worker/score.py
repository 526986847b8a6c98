"""One score at a time through the flow control: admitted, sent, reported."""

import asyncio
import random
import secrets
import time
from datetime import timedelta

from maskrelay.contract.jobs import Lane
from maskrelay.contract.wire import Row, RowAnswer
from maskrelay.errors import EndpointBusy, EndpointError, EndpointUnavailable
from maskrelay.ledger.flow import Flow
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

    def __init__(self, endpoint: EndpointClient[RowAnswer], flow: Flow) -> None:
        self._endpoint = endpoint
        self._flow = flow
        self._slot_freed = asyncio.Event()

    async def score(self, row: Row, lane: Lane, frame: str, traceparent: str | None = None) -> Scored[RowAnswer]:
        """The answer for one row. `frame` names the input among those failing in a row.

        Raises EndpointError; EndpointBusy also when the gate stays closed for longer than is waited with pixels in
        hand; LedgerUnavailable when the flow cannot be asked, and then nothing was sent.
        """
        return await self._send(await self._admitted(lane), row, frame, traceparent)

    async def ask_canary(self, lane: Lane) -> None:
        """Have the endpoint answer the canary; raises EndpointError if it does not."""
        await self._send(await self._admitted(lane), canary(), CANARY, None)

    async def _admitted(self, lane: Lane) -> str:
        """A slot. Where the flow asks for a probe of a closed gate, the canary goes first."""
        waiter, patience_ends = secrets.token_hex(8), time.monotonic() + PATIENCE.total_seconds()
        while True:
            slot = secrets.token_hex(8)
            admission = await asyncio.to_thread(self._flow.admit, lane, waiter, slot)
            if admission.probe:
                await self._send(slot, canary(), CANARY, None)
                continue
            if admission.granted:
                return slot
            closed = admission.why in {"gate", "frozen"}
            if closed and time.monotonic() + admission.wait.total_seconds() > patience_ends:
                raise EndpointBusy(kind=admission.why, parked=True)
            if not closed:
                patience_ends = time.monotonic() + PATIENCE.total_seconds()
            await self._pause(min(admission.wait, ASK_AGAIN))

    async def _pause(self, wait: timedelta) -> None:
        """Until `wait` is over, or a slot of this child is free again."""
        self._slot_freed.clear()
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self._slot_freed.wait()
        except TimeoutError:
            return

    async def _send(self, slot: str, row: Row, frame: str, traceparent: str | None) -> Scored[RowAnswer]:
        report = CANCELLED
        try:
            body = await asyncio.to_thread(IMAGE2D.encode, [row])
            scored = await self._endpoint.score(body, [row], request_id=slot, traceparent=traceparent)
            report = GOOD
            return scored
        except EndpointError as error:
            report = report_of(error)
            raise
        except Exception as error:
            report = Report("busy", keep_slot=True, reason=type(error).__name__)
            raise EndpointUnavailable(type(error).__name__) from error
        finally:
            await asyncio.shield(self._report(slot, report, frame))

    async def _report(self, slot: str, report: Report, frame: str) -> None:
        await asyncio.to_thread(self._flow.report, slot, report, frame, random.random())
        self._slot_freed.set()
