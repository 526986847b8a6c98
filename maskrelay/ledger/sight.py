"""The ledger's metrics: a snapshot for operators, and the counts and histograms that processes add to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from maskrelay.ledger.scripts import Scripts

#: Of so many running jobs, the oldest, the frames are counted; more would hold up the ledger for milliseconds.
JOBS_MOST = 200
#: Upper bounds of the histograms' buckets in seconds; one more holds what is longer.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long. at_most: for each of BUCKETS, and for no bound, the times up to it."""

    at_most: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """The ledger at one moment: `known` as `sight.lua` tells it; counts by what is counted, then by label."""

    known: dict[str, Any]
    counts: dict[str, dict[str, int]]
    stages: dict[str, Histogram]


class Sight:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def look(self) -> Seen:
        """Everything at once; raises LedgerUnavailable. Changes nothing."""
        known = json.loads(self._scripts.run("sight", JOBS_MOST))
        counts: dict[str, dict[str, int]] = {}
        for field, count in known.pop("counts", {}).items():
            what, label = field.split(" ", 1)
            counts.setdefault(what, {})[label] = count
        return Seen(known, counts, _histograms(known.pop("stages", {})))

    def tell(self, counts: Mapping[str, int], stages: Mapping[str, int]) -> None:
        """Add to the counts ("what label") and to the histograms ("stage bucket", "stage us")."""
        self._scripts.run("observed", json.dumps(counts), json.dumps(stages))


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
