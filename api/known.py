"""Look up a job: in the ledger, and in storage where the ledger lacks it."""

from contextlib import suppress
from dataclasses import dataclass

from api.service import Service
from maskrelay.contract import keys
from maskrelay.contract.halts import Halt
from maskrelay.contract.jobs import Counts, Frames, JobState, Result, Submission
from maskrelay.errors import Gone, LedgerUnavailable, NotFound, ObjectMissing, RecordUnreadable
from maskrelay.ledger.jobs import JobRecord
from maskrelay.rules.lifecycle import is_terminal
from maskrelay.storage.halts import halt_of
from maskrelay.storage.records import owner_of
from maskrelay.storage.tombstones import tombstone_of


@dataclass(frozen=True, slots=True)
class Known:
    """One job. `result` is there once it is terminal, but for a job that was halted: then `halted` says why.

    cancelling: storage holds the intent, the ledger no record.
    """

    submission: Submission
    record: JobRecord | None
    result: Result | None
    cancelling: bool = False
    halted: Halt | None = None

    @property
    def id(self) -> str:
        return self.submission.id

    @property
    def state(self) -> JobState:
        if self.result is not None:
            return self.result.state
        if self.halted is not None:
            return "failed"
        if self.record is not None:
            return self.record.state
        return "cancelling" if self.cancelling else "accepted"

    @property
    def planned(self) -> bool:
        return self.result is not None or (self.record is not None and self.record.planned)

    @property
    def terminal(self) -> bool:
        return is_terminal(self.state)

    def counts(self) -> Counts:
        """Items by state; until all is planned, the total is what was submitted."""
        if self.result is not None:
            return self.result.counts
        if self.record is None:
            return Counts(total=self.submission.total)
        return Counts(total=self.record.total, **self.record.items)

    def reason(self) -> str | None:
        """Why it was cancelled, or the code of why it ended without a result."""
        if self.result is not None:
            return self.result.reason
        if self.halted is not None:
            return self.halted.code
        return self.record.cancel_reason if self.record is not None else None

    def frames(self) -> Frames:
        if self.result is not None:
            return self.result.frames
        return self.record.frames if self.record is not None else Frames()


def look(service: Service, tenant: str, job: str) -> Known:
    """The tenant's job of this id; raises NotFound (the same for another tenant's), Gone, LedgerUnavailable.

    A job that is finished in storage is answered without the ledger; for any other its state is worth waiting for.
    """
    if not keys.ID.fullmatch(job):
        raise NotFound
    try:
        record = service.ledger.jobs.get(job)
    except LedgerUnavailable:
        known = _from_storage(service, tenant, job)
        if known is None or not known.terminal:
            raise
        return known
    if record is None:
        known = _from_storage(service, tenant, job)
        if known is None:
            raise NotFound
        return known
    if record.tenant != tenant:
        raise NotFound
    return _beside_record(service, record)


def _beside_record(service: Service, record: JobRecord) -> Known:
    ended = is_terminal(record.state)
    if ended:
        _check_gone(service, record.tenant, record.id)
    submission = service.archive.submission(record.id)
    if submission is None:
        raise NotFound
    result = service.archive.result(record.id) if ended else None
    halted = halt_of(service.storage, record.id) if ended and result is None else None
    return Known(submission, record, result, halted=halted)


def _from_storage(service: Service, tenant: str, job: str) -> Known | None:
    _check_gone(service, tenant, job)
    submission = service.archive.submission(job)
    if submission is None or submission.tenant != tenant:
        return None
    result = service.archive.result(job)
    if result is not None:
        return Known(submission, None, result)
    return Known(submission, None, None, service.archive.has(keys.cancel(job)), halt_of(service.storage, job))


def check_owned(service: Service, tenant: str, job: str) -> None:
    """Raise NotFound unless the job is the tenant's, Gone after its deletion. Its record need not be readable.

    Raises LedgerUnavailable for a job that has no result, whose work the ledger has to forget.
    """
    if not keys.ID.fullmatch(job):
        raise NotFound
    _check_gone(service, tenant, job)
    record = None
    try:
        record = service.ledger.jobs.get(job)
    except LedgerUnavailable:
        if not service.archive.has(keys.result(job)):
            raise
    owner = record.tenant if record is not None else owner_of(service.storage, job)
    if owner != tenant:
        raise NotFound


def _check_gone(service: Service, tenant: str, job: str) -> None:
    """Raise Gone for the tenant's own tombstone; whose it was stands in it (`tenant`), or still in the submission."""
    if not service.archive.has(keys.gone(job)):
        return
    with suppress(ObjectMissing, RecordUnreadable):
        tombstone = tombstone_of(service.storage, job)
        if tombstone is not None:
            raise Gone if tombstone.tenant == tenant else NotFound
    raise Gone if owner_of(service.storage, job) == tenant else NotFound
