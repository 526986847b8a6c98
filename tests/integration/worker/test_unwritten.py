"""Outcomes that cannot be written: the names of parts never grow, and nothing is scored for nothing."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import worker.segment.loop
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from tests.support.servers.valkeys import RunningValkey, running_valkey
from worker.context.job_records.outcome_parts import RecordedPart
from worker.segment.loop import SegmentLoop
from worker.segment.outcome_batches import PARTS_MOST, BatchLimits, OutcomeBatcher

BOUNDS = {"bulk": BatchLimits(1, 0.1), "interactive": BatchLimits(1, 0.1)}


@pytest.fixture
def valkey() -> Iterator[RunningValkey]:
    with running_valkey() as running:
        yield running


def job_of(ledger: Ledger, frames: int) -> str:
    job = keys.new_id()
    ledger.jobs.create(job, "t", "bulk", frames, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    extended = {"first": 0, "n": frames, "spans": [], "last": True, "lane": "bulk", "items": frames}
    assert ledger.step_leases.extend(lease, 0, **extended)
    return job


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


def loop_over(ledger: Ledger, storage: FileStorage) -> SegmentLoop:
    """A segment loop whose gate is open and whose plan is known."""

    async def closed_for(_: list[str]) -> timedelta:
        return timedelta(0)

    def planned(_: str, frame: int) -> tuple[Any, Any]:
        return PlannedFrame(frame=frame, item=frame, source="s", size=1, sha256="", prompts=("a",)), None

    noticed = StageRecorder(ledger.metrics.tell)
    bench: Any = SimpleNamespace(
        pool=SimpleNamespace(endpoints=()),
        admissions=SimpleNamespace(closed_for=closed_for, note_closed=lambda _: None),
        plans=SimpleNamespace(holds=lambda *_: True, of=planned),
        recorder=noticed,
        sources=SimpleNamespace(drop_unused=lambda: None),
    )
    return SegmentLoop(
        bench,
        OutcomeBatcher(storage, ledger, noticed, Untraced(), BOUNDS),
        ledger,
        hands=4,
        in_flight=4,
        renewal_period=timedelta(seconds=5),
        stopping=lambda: False,
    )


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
