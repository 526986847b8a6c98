"""The tabulate step, which adds the rows of a job to the result tables, under a lease.

If a worker dies, another takes the step when the lease has lapsed, and repeats what was not committed. The tables
record what was. The live marker of a job remains until the tables have all of its rows, so the comparison of storage
with the ledger queues the step again if Redis has lost it.
"""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.delta.compaction import compact
from maskrelay.errors import (
    LedgerUnavailable,
    MaskrelayError,
    ObjectExists,
    ObjectMissing,
    SettingsError,
    StorageUnavailable,
    TableError,
    code_of,
)
from maskrelay.ledger.step_leases import StepLease
from maskrelay.storage.markers import halt_of, tombstone_of
from maskrelay.storage.stored_records import read_submission
from worker.context import WorkerContext
from worker.context.attempts import OUTAGE
from worker.context.job_records.conclusion import read_result
from worker.context.job_records.event_records import RUNNING_PERIOD, awaits_tables, leave_live
from worker.context.lease_renewal import LeaseRenewal
from worker.tabulate.final_rows import add_final_rows
from worker.tabulate.running_rows import add_running_rows
from worker.tabulate.tenant_tables import OpenTables, ResultTables

log = logging.getLogger(__name__)
#: The longest pause before a failed step is tried again.
_LONGEST_PAUSE_S = 300
#: The errors that say that a place of tables cannot be used, whatever the job. It may be unusable for days.
_OF_PLACE = (TableError, StorageUnavailable, SettingsError)


class Tabulated(Record):
    """`tabulated.json`: the time at which the tables had all rows of the job."""

    at: datetime


def tabulate_jobs(context: WorkerContext, until: float) -> None:
    """Add rows of waiting jobs until `until` (monotonic seconds). The remaining jobs wait for the next wake-up."""
    opened = OpenTables(context)
    while time.monotonic() < until:
        lease = context.ledger.step_leases.take("tabulate")
        if lease is None:
            return
        _attempt(context, opened, lease, until)


def _attempt(context: WorkerContext, opened: OpenTables, lease: StepLease, until: float) -> None:
    """Tabulate one job. A failure never ends the job, which has its result independently of the tables."""
    steps = context.ledger.step_leases
    try:
        with (
            LeaseRenewal(context.settings.renewal_period, partial(steps.renew, lease)),
            context.recorder.timed("tabulate"),
        ):
            tabulate_job(context, opened, lease, until)
    except LedgerUnavailable:
        steps.excuse(lease, OUTAGE)
        raise
    except Exception as error:  # noqa: BLE001 - one job must not stop the others
        _failed(context, lease, error, timedelta(seconds=min(2 ** min(lease.tries, 20), _LONGEST_PAUSE_S)))


def _failed(context: WorkerContext, lease: StepLease, error: Exception, pause: timedelta) -> None:
    """Report the failure, and return the step to the queue."""
    about = {"job_id": lease.job, "step": "tabulate", "tries": lease.tries, "code": code_of(error)}
    trace = None if isinstance(error, MaskrelayError) else error  # a code says all
    log.error("rows of a job cannot be added to the tables", extra=about, exc_info=trace)
    context.recorder.happened("step failed", "tabulate")
    context.ledger.step_leases.put_off(lease, pause)


def tabulate_job(context: WorkerContext, opened: OpenTables, lease: StepLease, until: float) -> None:
    """Add the rows of a job that its tables lack. If the job still runs, return the step to the queue."""
    steps, job = context.ledger.step_leases, lease.job
    try:
        submission = read_submission(context.storage, job)
        if not awaits_tables(context, submission) or tombstone_of(context.storage, job) is not None:
            _complete(context, submission, lease)
            return
        with context.spans.span("tabulate", submission.traceparent, kind="consumer", job_id=job):
            _tabulate_in_place(context, submission, opened, lease, until)
    except ObjectMissing:  # the job is being removed
        steps.end(lease)


def _tabulate_in_place(
    context: WorkerContext, submission: Submission, opened: OpenTables, lease: StepLease, until: float
) -> None:
    """Tabulate the job, unless the place of its tables could not be used a moment ago.

    After a failure, no worker uses the place for some time, so a place that hangs does not occupy the child processes
    that plan and finish jobs.
    """
    rests, place = context.ledger.table_rests, opened.place_of(submission.tenant)
    if left := rests.left(place):
        context.ledger.step_leases.excuse(lease, left)
        return
    try:
        _tabulate(context, submission, opened.of(submission.tenant), lease, until)
    except _OF_PLACE as error:
        _failed(context, lease, error, rests.begin(place))
    else:
        rests.succeeded(place)


def _tabulate(
    context: WorkerContext, submission: Submission, tables: ResultTables, lease: StepLease, until: float
) -> None:
    steps, job = context.ledger.step_leases, lease.job
    result = read_result(context, job)
    if result is not None:
        add_final_rows(context, submission, result, tables)
        with suppress(ObjectExists):
            body = Tabulated(at=datetime.now(UTC)).model_dump_json().encode()
            context.storage.create(keys.tabulated(job), body, "application/json")
        _complete(context, submission, lease)
        _compact(tables)
        return
    halted = halt_of(context.storage, job)
    more = add_running_rows(context, submission, tables, until, halted)
    if halted is not None and not more:
        steps.end(lease)  # if the job is resumed, planning or finishing queues the step again
    else:
        steps.hand_back(lease, timedelta(0) if more else RUNNING_PERIOD)


def _complete(context: WorkerContext, submission: Submission, lease: StepLease) -> None:
    """End the step. Delete the live marker of a job that has ended, which was kept for the tables."""
    context.ledger.step_leases.end(lease)
    if read_result(context, submission.id) is not None:
        leave_live(context, submission)


def _compact(tables: ResultTables) -> None:
    """Merge the small files of the tables. If this fails, it is tried again after another job."""
    for table in tables.all():
        try:
            compact(table)
        except MaskrelayError as error:
            log.warning("the files of the table %s are not merged: %s", table.name, error.code)
