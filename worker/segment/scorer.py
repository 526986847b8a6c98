"""Scoring of rows under flow control.

A scorer waits for admission, writes the audit entry, sends the request, and reports the result.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from maskrelay.contract.wire.image2d import Row, RowAnswer
from maskrelay.endpoints import Endpoint, Wire
from maskrelay.errors import EndpointError, EndpointUnavailable, FrameRefused
from maskrelay.imaging.canvas.canary import canary
from maskrelay.imaging.canvas.encode import CanvasCoding
from maskrelay.ledger.flow_control import Admission, Flow, Transfer
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.endpoint_gate import (
    CANCELLED,
    GOOD,
    NOT_THE_ENDPOINTS,
    Report,
    report_of,
)
from maskrelay.scoring.endpoint_client import Scored
from maskrelay.scoring.wire_formats import IMAGE2D, LEAN2D, LEAN2D_QUESTION, WireFormat
from maskrelay.telemetry.spans import Spans
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.held_slot import HeldSlot
from worker.segment.picture_choice import PictureChoice, accepted_rows
from worker.segment.wire_choice import WireChoice

CANARY = "canary"


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The answers to the rows of one request, the endpoint that gave them, and the wire format of the request."""

    answers: Sequence[RowAnswer]
    endpoint: Endpoint
    wire: Wire


@dataclass(frozen=True, slots=True)
class _Request:
    """Rows, and the body of the request that scores them, in one wire format."""

    wire: WireFormat[RowAnswer]
    rows: Sequence[Row]
    body: bytes
    #: The deployment that was tested with encodings that the rows may have, or None if they need no test.
    tested: str | None = None


class _FormFailed(Exception):
    """The deployment rejects a wire format or image encoding that it seemed to accept.

    The rows are then sent again without it.
    """


class Scorer:
    """A scorer of rows that respects the limits of the flow control."""

    def __init__(
        self,
        pool: EndpointPool,
        flow: Flow,
        admissions: Admissions,
        sent: EgressAudit,
        recorder: StageRecorder,
        spans: Spans,
        wires: WireChoice,
        pictures: PictureChoice,
    ) -> None:
        self.wires = wires
        self.pictures = pictures
        self._asking = asyncio.Lock()
        self._pool = pool
        self._flow = flow
        self._admissions = admissions
        self.sent = sent
        self._recorder = recorder
        self._spans = spans
        self.seconds = 1.0  # the duration of the last successful request

    async def score(self, rows: Sequence[Row], asked: ScoreRequest, name: str, names: Sequence[str] = ()) -> ScoredRows:
        """Return the answers to `rows`, sent as one request.

        The flow control counts failures by `name`, which is the name of the input. `names` are the names of the rows.
        Raises EndpointError with the attribute `endpoint`, and EndpointBusy if no gate opens in time. Raises
        LedgerUnavailable if the flow control cannot be reached before the request is sent, or after it was answered.
        """
        await self._ask_for_offers(asked)
        while True:
            encoded = await self._encoded(rows, asked.among)
            slot, admission = await self._admitted(asked, encoded)
            endpoint = self._named(admission)
            if admission.probe:
                await self._probe(endpoint, slot)
                continue
            request = encoded[endpoint.name]
            self.sent.note(endpoint, request.rows, len(request.body), asked.job, names)
            try:
                scored = await self._send(endpoint, slot, request, name, asked.traceparent)
            except _FormFailed:
                continue
            await self.wires.compare(endpoint, scored)
            if await self.pictures.compare(endpoint, request.tested, request.rows, scored):
                return ScoredRows(scored.answers, endpoint, request.wire.name)

    async def _ask_for_offers(self, asked: ScoreRequest) -> None:
        """Send test images to each deployment whose offer is unknown, to learn the offer.

        Skip deployments that another process has asked in the last minute.
        """
        for endpoint in self._pool.named(asked.among):
            alone = replace(asked, among=(endpoint.name,))
            with contextlib.suppress(EndpointError):  # the score of the frame will show the same error
                async with self._asking:  # other rows of this process wait for the offer, so they can use lean2d too
                    if await self.wires.must_ask(endpoint):
                        slot, _ = await self._admitted(alone, {endpoint.name: self._canary_request(endpoint)})
                        await self._probe(endpoint, slot)
                if self.wires.is_lean(endpoint):
                    continue
                if await self.pictures.must_ask(endpoint, bytes_bind=self._admissions.bytes_bind()):
                    await self.pictures.ask(endpoint, partial(self._score_test, endpoint, alone))

    async def _score_test(self, endpoint: Endpoint, alone: ScoreRequest, row: Row) -> Scored[RowAnswer] | None:
        """Score a test image at this endpoint. Return None if the deployment refuses the encoding of the image."""
        request = _Request(IMAGE2D, [row], IMAGE2D.encode([row]))
        slot, admission = await self._admitted(alone, {endpoint.name: request})
        if admission.probe:
            await self._probe(endpoint, slot)
            return await self._score_test(endpoint, alone, row)
        self.sent.note(endpoint, request.rows, len(request.body), None, ())
        try:
            return await self._send(endpoint, slot, request, CANARY, None)
        except _FormFailed:
            return None

    async def _encoded(self, rows: Sequence[Row], among: Sequence[str]) -> dict[str, _Request]:
        """Return the request for each endpoint, in the wire format and encoding that are now used for it."""
        by_form: dict[CanvasCoding | None, _Request] = {}
        requests: dict[str, _Request] = {}
        for endpoint in self._pool.named(among):
            accepted, tested = None, None
            if not self.wires.is_lean(endpoint):
                accepted, tested = self.pictures.accepted(endpoint), self.pictures.tested(endpoint)
            if accepted not in by_form:
                wire, fitting = LEAN2D, rows
                if accepted is not None:
                    wire, fitting = IMAGE2D, await accepted_rows(rows, accepted)
                by_form[accepted] = _Request(wire, fitting, wire.encode(fitting))
            requests[endpoint.name] = replace(by_form[accepted], tested=tested)
        return requests

    def _named(self, admission: Admission) -> Endpoint:
        return next(iter(self._pool.named([admission.endpoint])))

    async def _admitted(self, asked: ScoreRequest, encoded: Mapping[str, _Request]) -> tuple[HeldSlot, Admission]:
        """Wait until a score may begin.

        The slot is recorded among the slots of this child process before it is requested from the flow control.
        """
        prompts = _prompts(next(iter(encoded.values())).rows)
        lean = {name: len(request.body) for name, request in encoded.items() if request.wire is LEAN2D}
        bytes_up = max((len(request.body) for name, request in encoded.items() if name not in lean), default=0)
        slots = self._admissions.slots
        slot = slots.begin()
        try:
            with self._recorder.timed("admission"), self._spans.span("admission", asked.traceparent):
                admission = await self._admissions.next(asked, slot, bytes_up, prompts, lean)
            slots.grant(slot, admission.endpoint)
        except BaseException:
            slots.end(slot)
            raise
        return HeldSlot(self._flow, slots, slot, admission), admission

    async def ask_canary(self, asked: ScoreRequest) -> None:
        """Send the canary to an endpoint. Raises EndpointBusy or EndpointUnavailable if there is no correct answer."""
        try:
            await self.score([canary()], asked, CANARY)
        except FrameRefused as error:
            raise _not_the_frames(error) from None

    async def _probe(self, endpoint: Endpoint, slot: HeldSlot) -> None:
        """Send the canary, to test the endpoint of a closed gate or to learn what it offers.

        A failure counts against no frame.
        """
        request = self._canary_request(endpoint)
        self.sent.note(endpoint, request.rows, len(request.body), None, ())
        try:
            scored = await self._send(endpoint, slot, request, CANARY, None)
        except _FormFailed:
            return  # the next canary asks for no lean answer
        except FrameRefused as error:
            raise _not_the_frames(error) from None
        if request.wire is LEAN2D_QUESTION:
            await self.wires.learn(endpoint, scored)

    def _canary_request(self, endpoint: Endpoint) -> _Request:
        wire, rows = self.wires.of_canary(endpoint), [canary()]
        return _Request(wire, rows, wire.encode(rows))

    async def _send(
        self, endpoint: Endpoint, slot: HeldSlot, request: _Request, name: str, traceparent: str | None
    ) -> Scored[RowAnswer]:
        report, transfer, rows, wire = CANCELLED, None, request.rows, request.wire
        try:
            client = self._pool.clients[endpoint.name]
            with (
                self._recorder.timed("score"),
                self._spans.span("score", traceparent, kind="client", endpoint=endpoint.name, rows=len(rows)) as span,
            ):
                scored = await client.score(
                    request.body,
                    rows,
                    request_id=slot.name,
                    traceparent=span.traceparent,
                    wire=wire,
                    received=slot.received,
                )
            report, self.seconds = GOOD, scored.seconds
            moved = scored.bytes_up, scored.bytes_down, _prompts(rows), scored.seconds, scored.body_seconds
            transfer = Transfer(*moved, lean=scored.is_lean)
            self._recorder.happened("scored", "lean2d" if scored.is_lean else "image2d")
            return scored
        except EndpointError as error:
            error.endpoint = endpoint.name
            if self._falls_back(endpoint, request, error):
                report = NOT_THE_ENDPOINTS
                raise _FormFailed from None
            report = report_of(error)
            raise
        except Exception as error:
            report = Report("busy", keep_slot=True, reason=type(error).__name__)
            raise EndpointUnavailable(type(error).__name__, endpoint=endpoint.name) from error
        finally:
            await asyncio.shield(slot.report(report, name, transfer))

    def _falls_back(self, endpoint: Endpoint, request: _Request, error: EndpointError) -> bool:
        """Return whether the wire format or the encoding of the images may have caused the error.

        The format or encoding is then not used for a while.
        """
        if self.wires.falls_back(endpoint, request.wire, error):
            self._recorder.happened("lean_failed", "refused" if error.status != 200 else "unreadable")
            return True
        return request.wire is IMAGE2D and self.pictures.falls_back(endpoint, request.rows, error)


def _prompts(rows: Sequence[Row]) -> int:
    return sum(len(row.prompts) for row in rows)


def _not_the_frames(error: FrameRefused) -> EndpointUnavailable:
    """Return the error for a failed canary. An endpoint that fails on the canary would fail on every image."""
    return EndpointUnavailable(
        "the endpoint fails on its canary",
        status=error.status,
        kind="canary",
        retry_after_s=error.retry_after_s,
        still_working=error.still_working,
        endpoint=error.endpoint,
    )
