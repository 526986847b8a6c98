"""The ledger's records of running processes: the last sweep, the loops of each task, and the waiting work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.wakeups import TASKS, Task


@dataclass(frozen=True, slots=True)
class Processes:
    """A snapshot of the running processes."""

    #: The time since the last sweep. None if the ledger contains no record of a sweep.
    swept_ago: timedelta | None
    #: The number of running loops of each task.
    loops: Mapping[Task, int]
    #: The amount of work that could be taken now, by task.
    waiting: Mapping[Task, int]
    #: Whether the drain flag has no expiry time, which is a fault. The flag is set when a child process must
    #: claim no more frames, so that it can claim a suspect frame alone. Other processes continue to claim.
    drain_left: bool


def see_processes(ledger: Ledger) -> Processes:
    """Return the snapshot without changing anything. Raises LedgerUnavailable."""
    known = ledger.metrics.snapshot().known
    return Processes(
        swept_ago=timedelta(seconds=known["sweep_s"]) if "sweep_s" in known else None,
        loops=known["loops"],
        waiting={task: ledger.wake_ups.work(task) for task in TASKS},
        drain_left=int(ledger.scripts.ask("PTTL", "mr:drain")) == -1,
    )
