"""The restoration of the tenants' lists of finished jobs from storage, after Redis has lost them."""

from collections.abc import Iterable
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.storage.protocol import has
from worker.cleanup.walks import next_keys
from worker.context import WorkerContext
from worker.context.job_records.conclusion import read_result

KEYS_A_PASS = 2000


def relist_next(context: WorkerContext) -> int:
    """If Redis has lost the lists, add the finished jobs in the next window of the objects of all jobs.

    Return the number of jobs that were added.
    """
    sweeps = context.ledger.sweep_state
    if not sweeps.listing():
        return 0
    listed = relist(context, next_keys(context, "listing", keys.JOBS, KEYS_A_PASS))
    if not sweeps.place("listing"):
        sweeps.listing(done=True)
    return listed


def relist(context: WorkerContext, found: Iterable[str]) -> int:
    """Add every finished job whose result is among the objects `found` to its tenant's list.

    Return the number of jobs that were not listed before. Unfinished jobs are not added here, because they have live
    markers, and the comparison of storage with the ledger restores them.
    """
    finished = filter(None, map(keys.finished_job, found))
    alone = context.bad_objects.alone
    return sum(bool(alone("listing", job, partial(_relist, context, job))) for job in finished)


def _relist(context: WorkerContext, job: str) -> bool:
    if context.ledger.jobs.get(job) is not None or has(context.storage, keys.gone(job)):
        return False
    result = read_result(context, job)
    return result is not None and context.ledger.jobs.list_again(job, result.tenant, result.created_at)
