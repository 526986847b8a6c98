"""What the ledger shows of the processes around it: who sweeps, who works, what waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.ledger import Ledger
from maskrelay.ledger.wakes import TASKS, Task

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """swept_ago: None where nobody has swept since this Redis began. loops and waiting: of each task, how many run and
    how much could be taken now. drain_left: a child's wish to be alone has no end, so that no suspect is ever claimed.
    """

    swept_ago: timedelta | None
    loops: Mapping[Task, int]
    waiting: Mapping[Task, int]
    drain_left: bool


def see(ledger: Ledger) -> Seen:
    """Look; changes nothing. Raises LedgerUnavailable."""
    ask = ledger.scripts.ask
    seconds, micros = ask("TIME")
    now = int(seconds) * 1000 + int(micros) // 1000
    last = ask("HGET", "mr:sweep", "last")
    return Seen(
        swept_ago=None if last is None else max(now - int(float(last)), 0) * _MS,
        loops={task: int(ask("ZCOUNT", f"mr:loops:{task}", f"({now}", "+inf")) for task in TASKS},
        waiting={task: ledger.wakes.work(task) for task in TASKS},
        drain_left=int(ask("PTTL", "mr:drain")) == -1,
    )
