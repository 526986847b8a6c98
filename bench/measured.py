"""One run of one contender: elapsed time, CPU time, and load on the endpoint."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders import Contender
from bench.endpoint import RunningEndpoint
from bench.peers.turns import Done

#: The processes that count as workers. All others are listed separately.
WORKERS = ("segment", "assemble", "control", "deliver")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one run.

    `cpu` gives the milliseconds per image of each process. `counted` gives the increase of each
    of the endpoint's counters.
    """

    done: Done
    images: int
    seconds: float
    cpu: Mapping[str, float]
    counted: Mapping[str, float]

    @property
    def images_per_s(self) -> float:
        return self.images / self.seconds

    @property
    def workers_cpu(self) -> float:
        """Return the milliseconds per image of the worker processes, or of all processes of an alternative."""
        own = [value for name, value in self.cpu.items() if name.startswith(WORKERS)]
        return sum(own) if own else sum(self.cpu.values())

    @property
    def whole_cpu(self) -> float:
        return sum(self.cpu.values())

    @property
    def saving_cpu(self) -> float:
        """Return the milliseconds per image that the caller took to fetch and write the masks."""
        return self.done.saving_cpu_s * 1000 / self.images

    @property
    def share(self) -> float:
        """Return the endpoint's busy time as a share of its capacity over the whole run."""
        return self.counted["busy_seconds"] / self.counted["capacity_seconds"]

    @property
    def bytes_moved(self) -> float:
        """Return the bytes per image that the endpoint received and sent."""
        return (self.counted["bytes_in"] + self.counted["bytes_out"]) / self.images


def measure(contender: Contender, endpoint: RunningEndpoint, files: Sequence[Path], out: Path) -> Measured:
    """Let the contender segment the files and write masks to `out`. Read clocks and counters before and after this."""
    counters, cpu, began = endpoint.counters(), contender.cpu(), time.monotonic()
    done = contender.work(files, out)
    seconds = time.monotonic() - began
    spent = {name: (now - cpu[name]) * 1000 / len(files) for name, now in contender.cpu().items()}
    return Measured(done, len(files), seconds, spent, grown(counters, endpoint.counters()))


def grown(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Return the increase of every number among the counters."""
    return {name: value - before[name] for name, value in after.items() if isinstance(value, int | float)}
