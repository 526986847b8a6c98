"""The division of a job's time into stages.

The stages follow each other without gaps, so they add up to the wall time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

#: The causes of the time that frames spend while a job is segmented: what they wait for, or what is processing them.
Cause = Literal["endpoint", "workers", "storage"]
#: The cause to which the time of each stage of a frame belongs (see `Outcome.timings_ms`).
_CAUSES: Mapping[str, Cause] = {
    "fetch": "storage",
    "decode": "workers",
    "prepare": "workers",
    "score": "endpoint",
    "restore": "workers",
    "store": "storage",
}
TOTAL = "total"


class Moments(NamedTuple):
    """The times at which a job moved from one stage to the next.

    A time is None if the job has not reached that stage yet, or if the ledger has lost the time. The fields have the
    names that the ledger uses.
    """

    created: datetime | None = None
    #: The time from which frames could be claimed.
    started: datetime | None = None
    #: The time at which the first frame was claimed.
    claimed: datetime | None = None
    #: The time at which the last frame was settled. If frames had to be repeated, this is the time after the
    #: repetition.
    scored: datetime | None = None
    #: The time at which the work on whole-item files began. It ended at `assembled`.
    assembling: datetime | None = None
    assembled: datetime | None = None
    finished: datetime | None = None
    #: The time at which every event of the job was delivered or given up.
    told: datetime | None = None


class Spent:
    """The time that frames spent, by cause."""

    def __init__(self) -> None:
        self.seconds: defaultdict[Cause, float] = defaultdict(float)

    @classmethod
    def of(cls, timings_ms: Iterable[Mapping[str, float]]) -> "Spent":
        """Return the summed times of frames. `timings_ms` contains the times of each frame by stage."""
        spent = cls()
        for timings in timings_ms:
            for stage, milliseconds in timings.items():
                if stage in _CAUSES:
                    spent.add(_CAUSES[stage], milliseconds / 1000)
        return spent

    def add(self, cause: Cause, seconds: float) -> None:
        self.seconds[cause] += seconds

    def take(self, other: "Spent") -> None:
        """Add the times of `other`."""
        for cause, seconds in other.seconds.items():
            self.add(cause, seconds)

    def milliseconds(self) -> dict[str, int]:
        """Return the milliseconds by cause, rounded."""
        return {cause: round(seconds * 1000) for cause, seconds in self.seconds.items()}


def timings(moments: Moments, spent: Mapping[str, int], until: datetime) -> dict[str, float]:
    """Return the seconds that each stage took, and their sum as `total`.

    The total time begins when the job was accepted. It ends at the last known moment, or at `until` while the job is
    running. The stages are, in order:

    - `planning`.
    - `queue`: frames can be claimed, but none is claimed yet.
    - `endpoint`, `workers` and `storage`: the time from the first claim until all frames are settled, divided in
      proportion to `spent`, the milliseconds that the frames spent by cause.
    - `assembling`, if whole-item files are made.
    - `finishing`.
    - `callback`, once every event was delivered or given up.

    If the ledger has lost a moment, the time until the next known moment belongs to the earlier stage.
    """
    spans = _spans(moments, until)
    found: dict[str, int] = {}
    for stage, milliseconds in spans.items():
        if stage == "segmenting":
            found |= _split(milliseconds, spent)
        elif stage == "finishing":
            found |= _split_finishing(milliseconds, moments, until)
        else:
            found[stage] = milliseconds
    return {**{stage: one / 1000 for stage, one in found.items()}, TOTAL: sum(found.values()) / 1000}


def bottleneck(known: Mapping[str, float]) -> str | None:
    """Return the stage that took the most time, or None if no stage took any time."""
    stages = {stage: seconds for stage, seconds in known.items() if stage != TOTAL and seconds > 0}
    return max(stages, key=lambda stage: stages[stage], default=None)


def _ms(moment: datetime) -> int:
    since = moment - datetime.fromtimestamp(0, UTC)
    return (since.days * 86400 + since.seconds) * 1000 + since.microseconds // 1000


def _spans(moments: Moments, until: datetime) -> dict[str, int]:
    """Return the milliseconds of each stage that was reached. The time of the current stage ends at `until`."""
    ends = {
        "planning": moments.started,
        "queue": moments.claimed,
        "segmenting": moments.scored,
        "finishing": moments.finished,
        "callback": moments.told if moments.finished else None,
    }
    following: datetime | None = None
    for stage in reversed(ends):
        following = ends[stage] = ends[stage] or following
    spans: dict[str, int] = {}
    before = _ms(moments.created or until)
    for stage, end in ends.items():
        if end is None and stage == "callback":
            break
        after = max(before, _ms(end or until))
        spans[stage], before = after - before, after
        if end is None:
            break
    return spans


def _split(milliseconds: int, spent: Mapping[str, int]) -> dict[str, int]:
    """Divide the time in proportion to `spent`.

    The rounding error is added to the largest part. If `spent` contains no time, all the time is attributed to the
    workers.
    """
    causes = {cause: spent.get(cause, 0) for cause in ("endpoint", "workers", "storage")}
    whole = sum(causes.values())
    if whole <= 0:
        return {**dict.fromkeys(causes, 0), "workers": milliseconds}
    parts = {cause: milliseconds * one // whole for cause, one in causes.items()}
    largest = max(causes, key=lambda cause: causes[cause])
    parts[largest] += milliseconds - sum(parts.values())
    return parts


def _split_finishing(milliseconds: int, moments: Moments, until: datetime) -> dict[str, int]:
    """Divide the time into that of assembling and the rest."""
    if moments.assembling is None:
        return {"finishing": milliseconds}
    end = moments.assembled or moments.finished or until
    assembling = min(milliseconds, max(0, _ms(end) - _ms(moments.assembling)))
    return {"assembling": assembling, "finishing": milliseconds - assembling}
