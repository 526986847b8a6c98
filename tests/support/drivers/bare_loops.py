"""Segment loops over a real ledger and storage, whose frames a test scores itself."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.ledger import Ledger
from maskrelay.ledger.measurements import StageRecorder
from maskrelay.storage.file_store import FileStorage
from maskrelay.telemetry.spans import Untraced
from worker.segment.loop import SegmentLoop
from worker.segment.outcome_batches import BatchLimits, OutcomeBatcher

BOUNDS = {"bulk": BatchLimits(1, 0.1), "interactive": BatchLimits(1, 0.1)}


def job_of(ledger: Ledger, frames: int, *, one_item: bool = False) -> str:
    """Return a planned job. Each frame is an item, unless all frames are one item."""
    job = keys.new_id()
    ledger.jobs.create(job, "t", "bulk", frames, datetime.now(UTC))
    lease = ledger.step_leases.take("plan")
    assert lease is not None
    extended = {
        "first": 0,
        "n": frames,
        "spans": [(0, frames)] if one_item else [],
        "last": True,
        "lane": "bulk",
        "items": frames,
    }
    assert ledger.step_leases.extend(lease, 0, **extended)
    return job


def loop_over(ledger: Ledger, storage: FileStorage, hands: int = 4) -> SegmentLoop:
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
        hands=hands,
        in_flight=4,
        renewal_period=timedelta(seconds=5),
        stopping=lambda: False,
    )
