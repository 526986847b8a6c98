"""Jobs that the workers' own steps run with the storage and ledger of a running API. Only the scores are invented."""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame, Result
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.ledger.claims import Claim
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.context.job_records.outcome_parts import RecordedPart, part_name, write_part
from worker.context.job_records.plans import planned_items
from worker.finish.finish_step import finish_jobs
from worker.plan.plan_step import plan_jobs

#: A function that gives the end of a frame: an error code, or None for masks.
Ends = Callable[[PlannedFrame], str | None]


def planned(api: RunningApi) -> None:
    """Plan every job that waits for it."""
    plan_jobs(parts_of(api), time.monotonic() + 60)


def frames_of(api: RunningApi, job: str) -> list[PlannedFrame]:
    parts = sum(1 for _ in api.storage.list(keys.frames(job)))
    return [frame for _, frames in planned_items(api.storage, job, parts) for frame in frames]


def claims_of(api: RunningApi) -> Iterable[Claim]:
    """Yield all claims that can be taken now."""
    while isinstance(claim := api.ledger.claims.take(0, ["interactive", "bulk"]), Claim):
        yield claim


def scored(api: RunningApi, ends: Ends = lambda _: None) -> list[str]:
    """Settle every frame that waits. Return the parts that were written."""
    written = []
    for number, claim in enumerate(claims_of(api)):
        frames = frames_of(api, claim.job)
        held = [(claim.token, RecordedPart(outcome(frames[frame], ends(frames[frame])))) for frame in claim.frames()]
        part = part_name(time.time() * 1000, secrets.token_hex(4), number)
        assert write_part(api.storage, api.ledger.claims, claim.job, part, held) == set(claim.frames())
        written.append(part)
    return written


def outcome(frame: PlannedFrame, code: str | None) -> Outcome:
    code = frame.error.code if frame.error else code
    error = Failure(code=code, detail="It failed.") if code else None
    state = "failed" if code else "succeeded"
    return Outcome(frame=frame.frame, item=frame.item, index=frame.index, state=state, error=error)


def by_frame(codes: Mapping[int, str]) -> Ends:
    return lambda frame: codes.get(frame.frame)


def driven(api: RunningApi, job: str, ends: Ends = lambda _: None) -> Result:
    """Plan, settle and finish every job. Return the result of `job`."""
    planned(api)
    scored(api, ends)
    return finished(api, job)


def finished(api: RunningApi, job: str) -> Result:
    """Finish every job that waits for it. Return the result of `job`."""
    finish_jobs(parts_of(api), time.monotonic() + 60)
    return Result.model_validate_json(api.storage.get(keys.result(job)))


def ended(api: RunningApi, client: httpx.Client, images: int, codes: dict[int, str], **options: Any) -> str:
    """Return a job with this number of images, of which those in `codes` have failed."""
    job = accepted(client, *(b"%d" % number for number in range(images)), options=options)
    driven(api, job, by_frame(codes))
    return job


def letters(client: httpx.Client, job: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/jobs/{job}/dead-letters", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()
