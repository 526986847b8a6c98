"""Plan: expand the accepted items into frames, part by part; frames can be claimed while planning goes on."""

import contextlib
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from maskrelay.contract import keys
from maskrelay.contract.jobs import FRAMES_PER_PART, Item, PlannedFrame, Submission
from maskrelay.errors import LedgerUnavailable, ObjectExists, ObjectMissing
from maskrelay.rules.lanes import loops_wanted
from worker.announce import announce
from worker.parts import Parts
from worker.submissions import read_items, read_submission


def plan_jobs(parts: Parts, until: float) -> None:
    """Plan whatever waits to be planned until `until` (monotonic seconds), and leave the rest."""
    while time.monotonic() < until:
        taken = parts.ledger.steps.take("plan")
        if taken is None:
            return
        plan_job(parts, *taken, until)


def plan_job(parts: Parts, job: str, token: str, until: float) -> None:
    """Plan one job from where the ledger's count of parts stands; hands the step back when its time is up."""
    steps = parts.ledger.steps
    try:
        submission = read_submission(parts.storage, job)
    except ObjectMissing:
        steps.hand_back("plan", job, token, parts.settings.step_lease)
        return
    counts = {"total": submission.total, "succeeded": 0, "partial": 0, "failed": 0, "cancelled": 0}
    announce(parts, submission, "job.accepted", state="accepted", at=submission.created_at, counts=counts)
    record = parts.ledger.jobs.get(job)
    first_part = record.frame_parts if record else 0
    items = itertools.islice(read_items(parts.storage, submission), first_part * FRAMES_PER_PART, None)
    numbered = enumerate(items, start=first_part * FRAMES_PER_PART)
    for part in range(first_part, -(-submission.total // FRAMES_PER_PART)):
        if time.monotonic() >= until:
            steps.hand_back("plan", job, token)
            return
        frames = [_frame(number, item) for number, item in itertools.islice(numbered, FRAMES_PER_PART)]
        if not _extend(parts, submission, token, part, frames):
            return
        if part == 0:
            announce(parts, submission, "job.running", state="running", at=datetime.now(UTC), counts=counts)


def _frame(number: int, item: Item) -> PlannedFrame:
    """A still image is one frame, so frame and item have one number and nothing has to be opened to plan it."""
    return PlannedFrame(
        frame=number, item=number, source=item.source, size=item.size, sha256=item.sha256, prompts=item.prompts
    )


def _extend(parts: Parts, submission: Submission, token: str, part: int, frames: Sequence[PlannedFrame]) -> bool:
    """Write one part of the plan (or adopt the one that is there) and make its frames claimable."""
    body = "\n".join(frame.model_dump_json() for frame in frames).encode()
    with contextlib.suppress(ObjectExists):
        parts.storage.create(keys.frame_part(submission.id, part), body, "application/x-ndjson")
    extended = parts.ledger.steps.extend(
        submission.id,
        token,
        part,
        first=part * FRAMES_PER_PART,
        n=len(frames),
        spans=[],
        last=(part + 1) * FRAMES_PER_PART >= submission.total,
        lane=submission.lane,
    )
    with contextlib.suppress(LedgerUnavailable):
        wanted = loops_wanted(len(frames), parts.settings.hands, parts.in_flight())
        parts.ledger.wakes.wake("segment", wanted)
    return extended
