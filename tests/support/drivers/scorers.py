"""A scorer with the parts of a child process, over a real ledger and a simulator."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.scoring.credentials import credential_of
from maskrelay.scoring.endpoint_client import EndpointClient
from maskrelay.scoring.wire_formats import IMAGE2D
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from tests.support.servers.simulators import RunningSimulator
from tests.support.servers.valkeys import RunningValkey
from worker.segment.admission import Admissions
from worker.segment.egress_audit import EgressAudit
from worker.segment.endpoint_pool import EndpointPool
from worker.segment.picture_choice import PictureChoice
from worker.segment.scorer import Scorer
from worker.segment.wire_choice import WireChoice

LEASE = timedelta(minutes=2)
Steps = Callable[[Scorer, EndpointPool, Admissions], Awaitable[Any]]


def scored_by_child(
    valkey: RunningValkey, folder: Path, simulator: RunningSimulator, steps: Steps, **described: Any
) -> Any:
    """Return the result of the steps, in a child process's own parts. `described` are fields of the endpoint."""
    endpoint = Endpoint(url=simulator.url, key=simulator.key, max_in_flight=8, **described)

    async def run(audit: AuditLog) -> Any:
        ledger = valkey.ledger()
        flow = ledger.flow([endpoint], slot_lease=LEASE)
        flow.fresh(endpoint.name)
        client = EndpointClient(endpoint, credential_of(endpoint), IMAGE2D, timeout=LEASE / 2, max_connections=8)
        pool, admissions = EndpointPool((endpoint,), {endpoint.name: client}), Admissions(flow)
        choices = WireChoice(ledger.offers), PictureChoice(ledger.picture_forms)
        recorder = StageRecorder(ledger.metrics.tell)
        scorer = Scorer(pool, flow, admissions, EgressAudit(audit), recorder, Untraced(), *choices)
        try:
            return await steps(scorer, pool, admissions)
        finally:
            await client.aclose()
            recorder.tell()

    with closing(AuditLog(FileStorage(folder), "worker")) as audit:
        return asyncio.run(run(audit))
