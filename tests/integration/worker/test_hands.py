"""A segment child has no more frames in progress than it has hands, also if frames are claimed in runs."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import worker.segment.loop
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.ledger import Ledger
from maskrelay.storage.file_store import FileStorage
from tests.support.drivers.bare_loops import job_of, loop_over
from worker.context.job_records.outcome_parts import RecordedPart

HANDS, FRAMES = 8, 40


def test_a_run_of_frames_is_no_longer_than_the_free_hands(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames end one after another, so hands become free one by one. A quarter is kept for the interactive lane."""
    job = job_of(ledger, FRAMES, one_item=True)
    in_progress, most, one_at_a_time = 0, 0, asyncio.Lock()

    async def scored(_: Any, __: Any, planned: PlannedFrame, ___: Any) -> RecordedPart:
        nonlocal in_progress, most
        in_progress += 1
        most = max(most, in_progress)
        async with one_at_a_time:
            await asyncio.sleep(0.02)  # the loop claims meanwhile
        in_progress -= 1
        return RecordedPart(Outcome(frame=planned.frame, item=0, index=planned.frame, state="succeeded"))

    monkeypatch.setattr(worker.segment.loop, "segment_frame", scored)
    asyncio.run(loop_over(ledger, FileStorage(tmp_path), HANDS).lend(time.monotonic() + 60))
    record = ledger.jobs.get(job)
    assert record is not None
    assert record.frames.succeeded == FRAMES
    assert most == 6
