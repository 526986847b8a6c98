"""Score rows under flow control: wait for admission, write the audit entry, send the request, report the result."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime

from maskrelay.contract.records.audit_entries import AuditEntry
from maskrelay.contract.wire.image2d import Row, RowAnswer, encode_request
from maskrelay.endpoints import Endpoint
from maskrelay.errors import EndpointError, EndpointUnavailable, FrameRefused
from maskrelay.imaging.canvas.canary import canary
from maskrelay.ledger.flow_control import Admission, Flow, Transfer
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.rules.endpoint_gate import (
    CANCELLED,
    GOOD,
    Report,
    report_of,
)
from maskrelay.storage.audit_log import AuditLog
from maskrelay.telemetry.spans import Spans
from worker.segment.admission import Admissions, ScoreRequest
from worker.segment.endpoint_pool import EndpointPool

CANARY = "canary"


class EgressAudit:
    """A record of the sent requests in the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def note(self, endpoint: Endpoint, rows: Sequence[Row], size: int, job: str | None, names: Sequence[str]) -> None:
        """Record a request of `size` bytes that is about to be sent. The call returns at once.

        `names` are the names of its rows (`job:frame`). A request without a job is the canary.
        """
        self._audit.write(
            AuditEntry(
                at=datetime.now(UTC),
                did="sent",
                endpoint=endpoint.name,
                model_version=endpoint.model_version,
                job=job,
                frames=tuple(int(frame) for _, colon, frame in (name.partition(":") for name in names) if colon),
                image_sha256=tuple(row.image_sha256 for row in rows),
                body_bytes=size,
            )
        )

    def close(self) -> None:
        """Write the waiting entries when the process ends."""
        self._audit.close()


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
    ) -> None:
        self._pool = pool
        self._flow = flow
        self._admissions = admissions
        self.sent = sent
        self._recorder = recorder
        self._spans = spans
        self.seconds = 1.0  # the duration of the last successful request

    async def score(
        self, rows: Sequence[Row], asked: ScoreRequest, name: str, names: Sequence[str] = ()
    ) -> tuple[Sequence[RowAnswer], Endpoint]:
        """Send `rows` as one request. Return the answers and the endpoint.

        `name` is the name of the input, by which the flow control counts failures, and `names` are those of the rows.
        Raises EndpointError with the field `endpoint`, and EndpointBusy if no gate opens in time. Raises
        LedgerUnavailable if the flow control cannot be reached; then nothing was sent.
        """
        body = encode_request(rows)
        while True:
            slot, admission = await self._admitted(asked, len(body), _prompts(rows))
            endpoint = next(iter(self._pool.named([admission.endpoint])))
            if not admission.probe:
                self.sent.note(endpoint, rows, len(body), asked.job, names)
                return await self._send(endpoint, slot, body, rows, name, asked.traceparent), endpoint
            await self._probe(endpoint, slot)

    async def _admitted(self, asked: ScoreRequest, bytes_up: int, prompts: int) -> tuple[str, Admission]:
        """Wait until a score may begin. The slot is added to this child process's slots before it is requested."""
        slots = self._admissions.slots
        slot = slots.begin()
        try:
            with self._recorder.timed("admission"), self._spans.span("admission", asked.traceparent):
                admission = await self._admissions.next(asked, slot, bytes_up, prompts)
            slots.grant(slot, admission.endpoint)
        except BaseException:
            slots.end(slot)
            raise
        return slot, admission

    async def ask_canary(self, asked: ScoreRequest) -> None:
        """Send the canary to an endpoint. Raises EndpointBusy or EndpointUnavailable if there is no correct answer."""
        try:
            await self.score([canary()], asked, CANARY)
        except FrameRefused as error:
            raise _not_the_frames(error) from None

    async def _probe(self, endpoint: Endpoint, slot: str) -> None:
        """Send the canary to the endpoint of a closed gate. The result counts against no frame."""
        rows = [canary()]
        body = encode_request(rows)
        self.sent.note(endpoint, rows, len(body), None, ())
        try:
            await self._send(endpoint, slot, body, rows, CANARY, None)
        except FrameRefused as error:
            raise _not_the_frames(error) from None

    async def _send(
        self, endpoint: Endpoint, slot: str, body: bytes, rows: Sequence[Row], name: str, traceparent: str | None
    ) -> Sequence[RowAnswer]:
        report, transfer = CANCELLED, None
        try:
            client = self._pool.clients[endpoint.name]
            with (
                self._recorder.timed("score"),
                self._spans.span("score", traceparent, kind="client", endpoint=endpoint.name, rows=len(rows)) as span,
            ):
                scored = await client.score(body, rows, request_id=slot, traceparent=span.traceparent)
            report, self.seconds = GOOD, scored.seconds
            moved = scored.bytes_up, scored.bytes_down, _prompts(rows), scored.seconds, scored.body_seconds
            transfer = Transfer(*moved)
            return scored.answers
        except EndpointError as error:
            report = report_of(error)
            error.endpoint = endpoint.name
            raise
        except Exception as error:
            report = Report("busy", keep_slot=True, reason=type(error).__name__)
            raise EndpointUnavailable(type(error).__name__, endpoint=endpoint.name) from error
        finally:
            await asyncio.shield(self._report(endpoint, slot, report, name, transfer))

    async def _report(
        self, endpoint: Endpoint, slot: str, report: Report, name: str, transfer: Transfer | None
    ) -> None:
        try:
            await asyncio.to_thread(self._flow.report, endpoint.name, slot, report, name, random.random(), transfer)
        finally:
            self._admissions.slots.end(slot, keep=report.keep_slot)


def _prompts(rows: Sequence[Row]) -> int:
    return sum(len(row.prompts) for row in rows)


def _not_the_frames(error: FrameRefused) -> EndpointUnavailable:
    """Return the error for a failed canary. An endpoint that fails on the canary fails on every image."""
    return EndpointUnavailable(
        "the endpoint fails on its canary",
        status=error.status,
        kind="canary",
        retry_after_s=error.retry_after_s,
        still_working=error.still_working,
        endpoint=error.endpoint,
    )
