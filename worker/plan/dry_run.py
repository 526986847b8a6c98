"""The plan step of a dry run, which counts what a run would do. No frame is segmented, so no score is sent."""

import contextlib
from collections.abc import Callable
from functools import reduce

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.contract.records.runs import DryRunCounts, Forecast
from maskrelay.endpoints import Endpoint, usable
from maskrelay.errors import ObjectExists, ObjectMissing, RecordUnreadable
from maskrelay.ledger.step_leases import StepLease
from maskrelay.rules.forecast import EndpointCapacity, cost_of, scores_of, scores_per_second
from maskrelay.storage.stored_records import read_record, record_body, write_records
from maskrelay.storage.submitted_items import expansion_of
from worker.context import WorkerContext
from worker.context.source_cache import SourceCache
from worker.plan.guarded_opening import GuardedOpener
from worker.plan.layout import PlannedPart, planned_parts

#: The number of prompts in a score if no endpoint is known.
_PROMPTS_PER_SCORE = 16


def forecast_job(
    context: WorkerContext,
    sources: SourceCache,
    submission: Submission,
    lease: StepLease,
    opening: GuardedOpener,
    check_time: Callable[[], None],
) -> None:
    """Plan the job without storing its plan, store the forecast, and let the job end without items.

    The counts are stored after each part of the plan, so another worker can continue from them. Raises the errors of
    `planned_parts` and of `check_time`.
    """
    job, storage = submission.id, context.storage
    endpoints = _endpoints(context, submission)
    most = min((endpoint.prompts_per_score for endpoint in endpoints), default=_PROMPTS_PER_SCORE)
    counts = _counted(context, job)
    for part in planned_parts(context, sources, submission, opening, counts.parts, check_time):
        counts = _with_part(counts, part, submission, most)
        storage.put(keys.dry_run_counts(job), record_body(counts), "application/json")
        if not part.last:
            check_time()
    with contextlib.suppress(ObjectExists):
        forecast = _forecast(context, submission, counts, endpoints)
        storage.create(keys.forecast(job), record_body(forecast), "application/json")
    write_records(storage, keys.frame_part(job, 0), [])
    write_records(storage, keys.item_part(job, 0), [])
    context.ledger.step_leases.extend(lease, 0, first=0, n=0, spans=[], last=True, lane=submission.lane, items=0)


def _counted(context: WorkerContext, job: str) -> DryRunCounts:
    with contextlib.suppress(ObjectMissing, RecordUnreadable):
        return read_record(context.storage, keys.dry_run_counts(job), DryRunCounts)
    return DryRunCounts()


def _with_part(counts: DryRunCounts, part: PlannedPart, submission: Submission, most: int) -> DryRunCounts:
    counts = reduce(lambda so_far, frame: _with_frame(so_far, frame, submission, most), part.frames, counts)
    return counts.model_copy(update={"parts": part.number + 1, "items": counts.items + len(part.items)})


def _with_frame(counts: DryRunCounts, frame: PlannedFrame, submission: Submission, most: int) -> DryRunCounts:
    if frame.error is not None:
        return counts.model_copy(update={"failed": counts.failed + 1})
    one_by_one = submission.one_prompt_per_request
    scores = scores_of(len(frame.prompts), one_prompt_per_request=one_by_one, prompts_per_score=most)
    return counts.model_copy(
        update={
            "frames": counts.frames + 1,
            "scores": counts.scores + scores,
            "bytes_to_read": counts.bytes_to_read + frame.size,
        }
    )


def _endpoints(context: WorkerContext, submission: Submission) -> list[Endpoint]:
    known = usable(context.ledger.endpoints.known(), submission.tenant)
    return [endpoint for endpoint in known if submission.endpoint in (None, endpoint.name)]


def _forecast(
    context: WorkerContext, submission: Submission, counts: DryRunCounts, endpoints: list[Endpoint]
) -> Forecast:
    measured = context.ledger.metrics.snapshot().stages.get("score")
    per_score = measured.seconds / measured.at_most[-1] if measured and measured.at_most[-1] else None
    rate = scores_per_second(_capacities(context, endpoints), per_score)
    seconds = None if rate is None else round(counts.scores / rate, 1)
    price = context.settings.endpoint_price_per_hour
    cost = cost_of(seconds, len(endpoints), price)
    expansion = expansion_of(context.storage, submission.run) if submission.run else None
    return Forecast(
        items=counts.items,
        failed=counts.failed,
        frames=counts.frames,
        rejected=expansion.rejected if expansion else 0,
        bytes_to_read=counts.bytes_to_read,
        scores=counts.scores,
        seconds=seconds,
        cost=None if cost is None else round(cost, 2),
        endpoints=len(endpoints),
        scores_per_second=rate,
        price_per_hour=price,
    )


def _capacities(context: WorkerContext, endpoints: list[Endpoint]) -> list[EndpointCapacity]:
    names = {endpoint.name for endpoint in endpoints}
    found = context.ledger.flow(endpoints).document() if endpoints else []
    shown = [one for one in found if one["name"] in names]
    return [EndpointCapacity(one["limit"], one["tokens"]["requests_per_s"]) for one in shown]
