"""The lookup of a job in the ledger, or in storage if the ledger has no record of it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from api.dependencies import Dependencies
from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Halt
from maskrelay.contract.records.job import (
    Counts,
    Frames,
    JobState,
    Result,
    Submission,
)
from maskrelay.contract.records.runs import Expansion, Forecast
from maskrelay.errors import Gone, LedgerUnavailable, NotFound, ObjectMissing, RecordUnreadable
from maskrelay.ledger.ledger_record import JobRecord
from maskrelay.rules.lifecycle import is_terminal
from maskrelay.storage.markers import halt_of, tombstone_of
from maskrelay.storage.stored_records import owner_of, read_record
from maskrelay.storage.submitted_items import expansion_of


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """The state of a job according to the ledger and storage."""

    submission: Submission
    record: JobRecord | None
    #: The result if the job is terminal. A job that ended without a result has `halted` instead.
    result: Result | None
    #: True if storage is known to contain a request to cancel. This matters only if there is no record of the job in
    #: the ledger.
    cancelling: bool = False
    #: The reason why the job ended without a result, if it did.
    halted: Halt | None = None
    #: What a dry run has found, when it has ended.
    forecast: Forecast | None = None
    #: The numbers of a run's lines, when all of them have been read.
    expansion: Expansion | None = None

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
        """Return the number of items by state. Until the job is planned, the total is the number of submitted items."""
        if self.result is not None:
            return self.result.counts
        if self.record is None:
            return Counts(total=self.submission.total)
        return Counts(total=self.record.total, **self.record.items)

    def reason(self) -> str | None:
        """Return why the job was cancelled, or the code of the error with which it ended without a result."""
        if self.result is not None:
            return self.result.reason
        if self.halted is not None:
            return self.halted.code
        return self.record.cancel_reason if self.record is not None else None

    def frames(self) -> Frames:
        if self.result is not None:
            return self.result.frames
        return self.record.frames if self.record is not None else Frames()


def find_job(dependencies: Dependencies, tenant: str, job: str) -> JobSnapshot:
    """Return the tenant's job with this id.

    If the ledger is unavailable, a job that has ended is read from storage, and LedgerUnavailable is raised for any job
    that has not ended. Raises NotFound if the id is unknown or the job belongs to another tenant, and Gone if the job
    was deleted or has expired.
    """
    if not keys.ID.fullmatch(job):
        raise NotFound
    try:
        record = dependencies.ledger.jobs.get(job)
    except LedgerUnavailable:
        known = _from_storage(dependencies, tenant, job)
        if known is None or not known.terminal:
            raise
        return known
    if record is None:
        known = _from_storage(dependencies, tenant, job)
        if known is None:
            raise NotFound
        return known
    if record.tenant != tenant:
        raise NotFound
    return _beside_record(dependencies, record)


def _beside_record(dependencies: Dependencies, record: JobRecord) -> JobSnapshot:
    ended = is_terminal(record.state)
    if ended:
        _check_gone(dependencies, record.tenant, record.id)
    submission = dependencies.archive.submission(record.id)
    if submission is None:
        raise NotFound
    result = dependencies.archive.result(record.id) if ended else None
    halted = halt_of(dependencies.storage, record.id) if ended and result is None else None
    about = _about_run(dependencies, submission, result)
    return JobSnapshot(submission, record, result, halted=halted, **about)


def _from_storage(dependencies: Dependencies, tenant: str, job: str) -> JobSnapshot | None:
    _check_gone(dependencies, tenant, job)
    submission = dependencies.archive.submission(job)
    if submission is None or submission.tenant != tenant:
        return None
    result = dependencies.archive.result(job)
    about = _about_run(dependencies, submission, result)
    if result is not None:
        return JobSnapshot(submission, None, result, **about)
    has_cancel, halted = dependencies.archive.has(keys.cancel(job)), halt_of(dependencies.storage, job)
    return JobSnapshot(submission, None, None, has_cancel, halted, **about)


def _about_run(dependencies: Dependencies, submission: Submission, result: Result | None) -> dict[str, Any]:
    """Return the fields of the snapshot that only a run or a dry run has."""
    run = submission.run
    return {
        "forecast": _forecast(dependencies, submission, result),
        "expansion": expansion_of(dependencies.storage, run) if run is not None else None,
    }


def _forecast(dependencies: Dependencies, submission: Submission, result: Result | None) -> Forecast | None:
    """Return the forecast of a dry run that has ended. A cancelled dry run has none."""
    if not submission.dry_run or result is None:
        return None
    with suppress(ObjectMissing):
        return read_record(dependencies.storage, keys.forecast(submission.id), Forecast)
    return None


def check_owned(dependencies: Dependencies, tenant: str, job: str) -> None:
    """Raise NotFound unless the job is the tenant's, and Gone if the tenant's job was deleted or has expired.

    The job's record need not be readable. If the ledger is unavailable and the job has no result yet, LedgerUnavailable
    is raised, because the work of the job must be removed from the ledger.
    """
    if not keys.ID.fullmatch(job):
        raise NotFound
    _check_gone(dependencies, tenant, job)
    record = None
    try:
        record = dependencies.ledger.jobs.get(job)
    except LedgerUnavailable:
        if not dependencies.archive.has(keys.result(job)):
            raise
    owner = record.tenant if record is not None else owner_of(dependencies.storage, job)
    if owner != tenant:
        raise NotFound


def _check_gone(dependencies: Dependencies, tenant: str, job: str) -> None:
    """If the job was deleted or has expired, raise Gone for its owner, and NotFound for anyone else.

    The tombstone names the owner. If it does not, the owner is read from the submission.
    """
    if not dependencies.archive.has(keys.gone(job)):
        return
    with suppress(ObjectMissing, RecordUnreadable):
        tombstone = tombstone_of(dependencies.storage, job)
        if tombstone is not None:
            raise Gone if tombstone.tenant == tenant else NotFound
    raise Gone if owner_of(dependencies.storage, job) == tenant else NotFound
