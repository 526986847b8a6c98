"""The surveys of the chunks of a run, which several workers make at the same time while one of them plans the run.

The plan step offers the chunks that come next. A survey is stored part by part, as without this module, so a worker
that dies leaves only what it has not stored. Nothing depends on the offers: the plan step makes
missing surveys itself.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import LedgerUnavailable, ObjectMissing, SourceUnavailable, StorageUnavailable, code_of
from maskrelay.ledger.survey_leases import SurveyLease
from maskrelay.storage.protocol import has
from maskrelay.storage.stored_records import read_submission
from maskrelay.storage.submitted_items import read_chunk
from worker.context import WorkerContext
from worker.context.attempts import OUTAGE
from worker.context.lease_renewal import LeaseRenewal
from worker.context.source_cache import SourceCache
from worker.context.turn import TimeIsUp
from worker.plan.guarded_opening import GuardedOpener, StepLost
from worker.plan.survey import ITEMS_PER_SURVEY, SourceSurvey

log = logging.getLogger(__name__)
#: The number of chunks after the current one that other workers may survey.
AHEAD = 32
#: The seconds between two checks whether another worker has completed the survey of the current chunk.
_PAUSE_S = 0.25


def await_survey(
    context: WorkerContext,
    sources: SourceCache,
    submission: Submission,
    chunk: int,
    chunks: int,
    check_time: Callable[[], None],
) -> None:
    """Return when no other worker surveys this chunk of the run, which has `chunks` chunks.

    Meanwhile, survey chunks that come later. Raises the errors of `check_time`, StorageUnavailable and
    LedgerUnavailable.
    """
    leases, following = context.ledger.survey_leases, range(chunk + 1, min(chunk + 1 + AHEAD, chunks))
    if following:
        context.ledger.wake_ups.wake("plan", leases.offer(submission.id, following))
    while not leases.withdraw(submission.id, chunk):
        lease = leases.take(submission.id, following) if following else None
        if lease is not None:
            make_survey(context, sources, lease, check_time)
        else:
            time.sleep(_PAUSE_S)
        check_time()


def make_survey(
    context: WorkerContext, sources: SourceCache, lease: SurveyLease, check_time: Callable[[], None]
) -> None:
    """Survey one chunk. If that fails, the plan step of the run tries it again, and the failure counts there.

    Raises StorageUnavailable and LedgerUnavailable.
    """
    leases = context.ledger.survey_leases
    try:
        with LeaseRenewal(context.settings.renewal_period, partial(leases.renew, lease)):
            _survey(context, sources, lease, check_time)
    except TimeIsUp:
        leases.hand_back(lease)
    except SourceUnavailable:
        leases.hand_back(lease, OUTAGE)
    except (StorageUnavailable, LedgerUnavailable):
        with contextlib.suppress(LedgerUnavailable):
            leases.hand_back(lease, OUTAGE)
        raise
    except StepLost:
        return
    except Exception as error:  # noqa: BLE001 - the plan step meets the same error, logs it and counts it
        log.info("the plan step surveys a chunk itself", extra={"job_id": lease.job, "code": code_of(error)})
        leases.done(lease)
    else:
        leases.done(lease)


def _survey(context: WorkerContext, sources: SourceCache, lease: SurveyLease, check_time: Callable[[], None]) -> None:
    storage = context.storage
    with contextlib.suppress(ObjectMissing):  # the job was deleted
        submission = read_submission(storage, lease.job)
        assert submission.run is not None
        _, items = read_chunk(storage, submission.run.chunks, lease.chunk)
        last = (len(items) - 1) // ITEMS_PER_SURVEY
        if not items or has(storage, keys.survey_part(lease.job, last, lease.chunk)):  # it was surveyed before
            return
        with contextlib.closing(GuardedOpener(context, lease)) as opening:
            opening.scope = f"chunk {lease.chunk} "
            for _ in SourceSurvey(context, sources, submission, items, opening, check_time, lease.chunk):
                pass
