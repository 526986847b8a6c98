"""Cancelling a job: the intent is durable before it is answered."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from api.known import Known
from api.service import Service
from maskrelay.contract import keys
from maskrelay.errors import LedgerUnavailable, NotCancellable, ObjectExists
from maskrelay.rules.lifecycle import may_cancel

REASON = "cancelled by the caller"


def cancel(service: Service, known: Known) -> Known:
    """The job as it is once its cancelling is durable; raises NotCancellable when it is finishing or over.

    The ledger may fail meanwhile: the sweep reads the intent. Again while it is being cancelled changes nothing.
    """
    if not may_cancel(known.state):
        raise NotCancellable
    intent = {"reason": REASON, "at": datetime.now(UTC).isoformat()}
    with suppress(ObjectExists):
        service.storage.create(keys.cancel(known.id), json.dumps(intent).encode(), "application/json")
    service.storage.put(keys.live_cancel(known.id), b"")
    record = replace(known.record, state="cancelling") if known.record is not None else None
    with suppress(LedgerUnavailable):
        before = service.ledger.jobs.cancel(known.id, REASON)
        if before is not None and not may_cancel(before):  # it came to its end in between
            service.storage.delete(keys.live_cancel(known.id))
            raise NotCancellable
        service.ledger.wakes.wake("finish")
        record = service.ledger.jobs.get(known.id) or record
    return replace(known, record=record, cancelling=True)
