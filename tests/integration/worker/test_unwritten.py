"""Outcomes that cannot be written: the names of parts never grow, and nothing is scored for nothing."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import worker.segment.loop
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.ledger.claims import Claim
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from tests.support.drivers.bare_loops import BOUNDS, job_of, loop_over
from tests.support.servers.valkeys import RunningValkey
from worker.context.job_records.outcome_parts import RecordedPart
from worker.segment.outcome_batches import PARTS_MOST, OutcomeBatcher


def recorded(frame: int) -> RecordedPart:
    return RecordedPart(Outcome(frame=frame, item=frame, state="succeeded"))


def test_after_the_last_number_a_child_goes_on_under_another_name(valkey: RunningValkey, tmp_path: Path):
    ledger, storage = valkey.ledger(), FileStorage(tmp_path)
    job = job_of(ledger, 3)
    groups = OutcomeBatcher(storage, ledger, StageRecorder(ledger.metrics.tell), Untraced(), BOUNDS)
    groups._written = PARTS_MOST - 1

    async def settle() -> None:
        for _ in range(3):
            claim = ledger.claims.take(0, ["bulk"])
            assert isinstance(claim, Claim)
            groups.tell_time(claim.now_ms)
            assert await groups.add(job, "bulk", claim.token, recorded(claim.first))

    asyncio.run(settle())
    names = [keys.part_of(key) for key in storage.list(keys.outcomes(job))]
    assert [name for name, _ in ledger.jobs.parts(job)] == names
    assert [name.rsplit("-", 1)[1] for name in names] == ["999999", "000001", "000002"]
    assert len({name.split("-")[1] for name in names}) == 2


@pytest.mark.parametrize("obstacle", ["the store refuses", "a mistake in the code"])
def test_a_child_whose_outcomes_cannot_be_written_scores_no_more_until_they_can(
    valkey: RunningValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
):
    ledger, storage = valkey.ledger(), FileStorage(tmp_path)
    job = job_of(ledger, 40)
    in_the_way = tmp_path / "jobs" / job / "outcomes"
    scores: list[int] = []

    async def scored(_: Any, claim: Claim, planned: PlannedFrame, __: Any) -> RecordedPart:
        scores.append(planned.frame)
        return recorded(planned.frame)

    def refused(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr(worker.segment.loop, "segment_frame", scored)
    monkeypatch.setattr(worker.segment.outcome_batches, "TRIES", 1)
    if obstacle == "the store refuses":
        in_the_way.parent.mkdir(parents=True)
        in_the_way.touch()
    else:
        monkeypatch.setattr(worker.segment.outcome_batches, "store_part", refused)

    async def lend() -> None:
        loop = loop_over(ledger, storage)
        await loop.lend(time.monotonic() + 3)
        assert 1 <= len(scores) <= 12, len(scores)  # what was in hand, then one after each pause
        assert ledger.jobs.get(job).frames.succeeded == 0
        monkeypatch.undo()
        monkeypatch.setattr(worker.segment.loop, "segment_frame", scored)
        with suppress(FileNotFoundError):
            in_the_way.unlink()
        while ledger.jobs.get(job).frames.succeeded < 20:
            await loop.lend(time.monotonic() + 5)

    asyncio.run(lend())
