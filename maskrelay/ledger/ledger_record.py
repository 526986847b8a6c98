"""The ledger's record of one job, as the scripts return it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maskrelay.contract.records.job import (
    TERMINAL,
    Frames,
    JobState,
    Lane,
)
from maskrelay.rules.timings import Moments

_SPENT = "spent_"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """The ledger's current record of one job."""

    id: str
    tenant: str
    lane: Lane
    state: JobState
    planned: bool
    #: The number of items. Until all of them are planned, this is the number of submitted items.
    total: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    frames: Frames
    frame_parts: int
    #: The number of items by state. It shows progress until the job is terminal.
    items: dict[str, int]
    cancel_reason: str | None
    version: int
    moments: Moments
    #: The milliseconds for which frames waited or were processed, by cause.
    spent: dict[str, int]
    #: The error code if the job ended without a result.
    halted: str | None = None


def read_job(job: str, text: bytes) -> JobRecord:
    """Read the record of a job from the JSON that the scripts return."""
    known = json.loads(text)
    created = _moment(known["created"])
    assert created is not None
    return JobRecord(
        id=job,
        tenant=known["tenant"],
        lane=known["lane"],
        state=known["state"],
        planned=known["planned"] == "1",
        total=int(known["total"]),
        created_at=created,
        started_at=_moment(known.get("started")),
        finished_at=_moment(known.get("finished")),
        frames=_frames(known),
        frame_parts=int(known.get("parts", 0)),
        items=_items(known),
        cancel_reason=known.get("cancel"),
        version=int(known["version"]),
        moments=Moments(**{name: _moment(known.get(name)) for name in Moments._fields}),
        spent={name.removeprefix(_SPENT): int(ms) for name, ms in known.items() if name.startswith(_SPENT)},
        halted=known.get("halted"),
    )


def _moment(ms: Any) -> datetime | None:
    return datetime.fromtimestamp(int(ms) / 1000, UTC) if ms else None


def _items(known: dict[str, Any]) -> dict[str, int]:
    """Return the number of items by state.

    Until the job ends, an item with one frame is counted by the outcome of this frame. An item with several frames is
    counted when all of them have outcomes.
    """
    if known["state"] in TERMINAL:
        return {name: int(known.get(f"items_{name}", 0)) for name in ("succeeded", "partial", "failed", "cancelled")}
    succeeded, failed = int(known["frames_succeeded"]), int(known["frames_failed"])
    in_spans, failed_in_spans = int(known.get("in_spans", 0)), int(known.get("failed_in_spans", 0))
    spans = {how: int(known.get(f"spans_{how}", 0)) for how in ("succeeded", "partial", "failed")}
    return {
        "succeeded": max(0, succeeded - (in_spans - failed_in_spans)) + spans["succeeded"],
        "partial": spans["partial"],
        "failed": max(0, failed - failed_in_spans) + spans["failed"],
        "cancelled": 0,
    }


def _frames(known: dict[str, Any]) -> Frames:
    succeeded, failed = int(known["frames_succeeded"]), int(known["frames_failed"])
    planned, leased = int(known.get("frames", 0)), int(known.get("leased", 0))
    cancelled = int(known.get("frames_cancelled", 0))
    waiting = 0 if known["state"] in TERMINAL else max(0, planned - leased - succeeded - failed)
    return Frames(
        planned=planned,
        waiting=waiting,
        leased=leased,
        succeeded=succeeded,
        failed=failed,
        cancelled=cancelled,
    )
