"""The ledger's metrics: a snapshot for operators, and counts and histograms to which all processes add."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from maskrelay.ledger.scripts import Scripts

#: The number of running jobs, oldest first, whose frames are counted. Counting more would block the ledger for
#: milliseconds.
JOBS_MOST = 200
#: The upper bounds of the histogram buckets, in seconds. There is one more bucket for longer times.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations."""

    #: Cumulative counts: one for each of BUCKETS, then one without a bound.
    at_most: tuple[int, ...]
    #: The sum of the durations.
    seconds: float


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """A snapshot of the ledger's metrics."""

    #: The content as `snapshot.lua` returns it.
    known: dict[str, Any]
    #: The counts, by the name of the count and then by label.
    counts: dict[str, dict[str, int]]
    stages: dict[str, Histogram]


class Metrics:
    """The metrics in the ledger."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def snapshot(self) -> MetricsSnapshot:
        """Return a snapshot without changing anything. Raises LedgerUnavailable."""
        known = json.loads(self._scripts.run("snapshot", JOBS_MOST))
        counts: dict[str, dict[str, int]] = {}
        for field, count in known.pop("counts", {}).items():
            what, label = field.split(" ", 1)
            counts.setdefault(what, {})[label] = count
        return MetricsSnapshot(known, counts, _histograms(known.pop("stages", {})))

    def tell(self, counts: Mapping[str, int], stages: Mapping[str, int]) -> None:
        """Add these numbers to the counts and histograms.

        A key of `counts` is "what label". A key of `stages` is "stage bucket" for the count of a bucket, or "stage us"
        for the sum of the durations in microseconds.
        """
        self._scripts.run("add_observations", json.dumps(counts), json.dumps(stages))


def _histograms(fields: Mapping[str, int]) -> dict[str, Histogram]:
    stages: dict[str, list[int]] = {}
    microseconds: dict[str, int] = {}
    for field, value in fields.items():
        stage, place = field.split(" ")
        counts = stages.setdefault(stage, [0] * (len(BUCKETS) + 1))
        if place == "us":
            microseconds[stage] = value
        else:
            counts[int(place)] = value
    return {
        stage: Histogram(tuple(accumulate(counts)), microseconds.get(stage, 0) / 1e6)
        for stage, counts in stages.items()
    }
