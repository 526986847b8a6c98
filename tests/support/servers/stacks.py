"""The whole embedded stack as real processes, for acceptance and fault tests. Everything ends with the block.

At its end, the processes are killed, because ending by themselves takes them seconds. That they do so is tested with
`make up` (`tests/acceptance/test_stack.py`), and wherever a stack is `graceful`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from maskrelay.client import Client
from maskrelay.stack.loopback import free_port
from maskrelay.stack.running import EmbeddedStack, running
from maskrelay.stack.supervisor import Ending

#: Short times, so that the work of a dead process is soon taken over. Two shared cores, and the required order of the
#: times, do not allow shorter ones.
SHORTEST = {
    "score_timeout_s": 6,
    "slot_lease_s": 8,
    "claim_lease_s": 6,
    "step_lease_s": 6,
    "renewal_period_s": 1.5,
    "sweep_period_s": 0.5,
    "task_budget_s": 4,
    "soft_shutdown_s": 12,
    "termination_grace_s": 15,
    "callback_allow": "127.0.0.1",
}


@dataclass(frozen=True)
class RunningStack:
    """A running stack in which nothing that dies is restarted. A test kills and starts the processes itself."""

    stack: EmbeddedStack

    @property
    def url(self) -> str:
        return self.stack.layout.url

    @property
    def api_key(self) -> str:
        return self.stack.layout.api_key or ""

    @property
    def data(self) -> Path:
        return self.stack.data

    @property
    def valkey(self) -> str:
        """Return the ledger's URL, with its password."""
        return self.stack.layout.environment["MASKRELAY_REDIS_URL"]

    @property
    def simulator(self) -> str:
        """Return the scoring URI. With `/_simulator` instead of `/score`, it is the address of the control page."""
        return self.stack.layout.environment["MASKRELAY_ENDPOINT_URL"]

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of the stack's processes."""
        return dict(self.stack.layout.environment)

    @property
    def processes(self) -> dict[str, int]:
        """Return process ids by name: valkey, simulator, api, segment, control, deliver. Each leads a process group."""
        return self.stack.supervisor.processes

    def log(self, name: str) -> str:
        return (self.stack.logs / f"{name}.log").read_text(errors="replace")

    def client(self, timeout: timedelta = timedelta(seconds=30)) -> Client:
        return Client(self.url, self.api_key, timeout)

    def kill(self, name: str) -> None:
        """Send SIGKILL to the process and everything that it started. Return when all are gone."""
        self.stack.supervisor.kill(name)

    def start(self, name: str) -> None:
        """Start the process again, on the same port and folder. Return when it responds (for a worker: at once)."""
        self.stack.supervisor.start(name)


@contextmanager
def running_stack(data: Path, *, graceful: bool = False, **settings: Any) -> Iterator[RunningStack]:
    """Start the stack with the folder `data`, until the block ends.

    `score_timeout_s=3` becomes MASKRELAY_SCORE_TIMEOUT_S, and None leaves a setting out. Settings that are not given
    have the values of SHORTEST, or otherwise the stack's own defaults. With `graceful`, the processes get SIGTERM at
    the end, and the time that they need.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
    wanted = {name: value for name, value in {**SHORTEST, **settings}.items() if value is not None}
    given |= {f"MASKRELAY_{name.upper()}": str(value) for name, value in wanted.items()}
    with running(given, data, free_port(), say=_say, ending=Ending(at_once=not graceful)) as stack:
        yield RunningStack(stack)


def _say(text: str) -> None:
    print(text)
