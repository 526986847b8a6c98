"""Cancel a job: the intent is durable before the response is sent."""

from contextlib import suppress
from dataclasses import replace

from api.known import Known
from api.service import Service
from maskrelay.contract import keys
from maskrelay.contract.cancels import BY_CALLER
from maskrelay.errors import LedgerUnavailable, NotCancellable
from maskrelay.rules.lifecycle import may_cancel
from maskrelay.storage.cancels import intend_cancel


def cancel(service: Service, known: Known) -> Known:
    """Cancel the job and return it once the intent is durable. Raises NotCancellable if it is finishing or has ended.

    The ledger may be unavailable: the sweep reads the intent. Repeating the call changes nothing.
    """
    if not may_cancel(known.state):
        raise NotCancellable
    intend_cancel(service.storage, known.id, BY_CALLER)
    record = replace(known.record, state="cancelling") if known.record is not None else None
    with suppress(LedgerUnavailable):
        before = service.ledger.jobs.cancel(known.id, BY_CALLER)
        if before is not None and not may_cancel(before):  # it has ended in the meantime
            service.storage.delete(keys.live_cancel(known.id))
            raise NotCancellable
        service.ledger.wakes.wake("finish")
        record = service.ledger.jobs.get(known.id) or record
    return replace(known, record=record, cancelling=True)
