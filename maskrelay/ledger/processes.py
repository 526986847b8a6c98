"""What the ledger knows of the running processes: the last sweep, the loops of each task, and the waiting work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.wakes import TASKS, Task


@dataclass(frozen=True, slots=True)
class Processes:
    """swept_ago: None where nobody has swept since this Redis began. loops and waiting: of each task, how many run and
    how much could be taken now. drain_left: a child's wish to be alone has no end, so that no suspect is ever claimed.
    """

    swept_ago: timedelta | None
    loops: Mapping[Task, int]
    waiting: Mapping[Task, int]
    drain_left: bool


def see_processes(ledger: Ledger) -> Processes:
    """Look; changes nothing. Raises LedgerUnavailable."""
    known = ledger.sight.look().known
    return Processes(
        swept_ago=timedelta(seconds=known["sweep_s"]) if "sweep_s" in known else None,
        loops=known["loops"],
        waiting={task: ledger.wakes.work(task) for task in TASKS},
        drain_left=int(ledger.scripts.ask("PTTL", "mr:drain")) == -1,
    )
