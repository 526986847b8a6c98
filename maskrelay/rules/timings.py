"""Where a job's time went: consecutive stages without gaps, which add up to the job's wall time. Pure functions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

#: What a frame waits for, or is worked on by, while its job is segmented.
Cause = Literal["endpoint", "workers", "storage"]
#: Of the stages of a frame's own stopwatch.
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
    """When a job came from one stage into the next; None: not yet, or the ledger lost it.

    started: the first frames can be claimed. claimed: the first claim. scored: every frame is settled (the last time,
    if some had to wait again). assembling, assembled: whole-item files are made in between. told: every event is over.
    """

    created: datetime | None = None
    started: datetime | None = None
    claimed: datetime | None = None
    scored: datetime | None = None
    assembling: datetime | None = None
    assembled: datetime | None = None
    finished: datetime | None = None
    told: datetime | None = None


class Spent:
    """Milliseconds of frames by cause."""

    def __init__(self) -> None:
        self.seconds: defaultdict[Cause, float] = defaultdict(float)

    @classmethod
    def of(cls, timings_ms: Iterable[Mapping[str, float]]) -> "Spent":
        """What the stopwatches of these frames say."""
        spent = cls()
        for timings in timings_ms:
            for stage, milliseconds in timings.items():
                if stage in _CAUSES:
                    spent.add(_CAUSES[stage], milliseconds / 1000)
        return spent

    def add(self, cause: Cause, seconds: float) -> None:
        self.seconds[cause] += seconds

    def take(self, other: "Spent") -> None:
        """Add what another one holds."""
        for cause, seconds in other.seconds.items():
            self.add(cause, seconds)

    def milliseconds(self) -> dict[str, int]:
        return {cause: round(seconds * 1000) for cause, seconds in self.seconds.items()}


def timings(moments: Moments, spent: Mapping[str, int], until: datetime) -> dict[str, float]:
    """Seconds by stage and, as `total`, their sum: from acceptance to the last moment known, or `until` if it runs.

    planning; queue: frames can be claimed and none is; endpoint, workers, storage: the time from the first claim to
    the last outcome, in the proportion of what its frames spent; assembling, where whole-item files are made;
    finishing; callback, once every event is over. The time before a moment that was lost belongs to the stage before.
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
    """The stage that took most of the time; None before any did."""
    stages = {stage: seconds for stage, seconds in known.items() if stage != TOTAL and seconds > 0}
    return max(stages, key=lambda stage: stages[stage], default=None)


def _ms(moment: datetime) -> int:
    since = moment - datetime.fromtimestamp(0, UTC)
    return (since.days * 86400 + since.seconds) * 1000 + since.microseconds // 1000


def _spans(moments: Moments, until: datetime) -> dict[str, int]:
    """Milliseconds of each stage that was reached; the one that is under way ends at `until`."""
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
    """In proportion; what rounding leaves goes to the largest. Where nothing was spent, workers had it."""
    causes = {cause: spent.get(cause, 0) for cause in ("endpoint", "workers", "storage")}
    whole = sum(causes.values())
    if whole <= 0:
        return {**dict.fromkeys(causes, 0), "workers": milliseconds}
    parts = {cause: milliseconds * one // whole for cause, one in causes.items()}
    largest = max(causes, key=lambda cause: causes[cause])
    parts[largest] += milliseconds - sum(parts.values())
    return parts


def _split_finishing(milliseconds: int, moments: Moments, until: datetime) -> dict[str, int]:
    """What was assembled in between, and the rest."""
    if moments.assembling is None:
        return {"finishing": milliseconds}
    end = moments.assembled or moments.finished or until
    assembling = min(milliseconds, max(0, _ms(end) - _ms(moments.assembling)))
    return {"assembling": assembling, "finishing": milliseconds - assembling}
