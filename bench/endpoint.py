"""The simulator as a separate process, the same for every contender."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

_KEY = "bench-key"


@dataclass(frozen=True, slots=True)
class RunningEndpoint:
    url: str
    key: str
    pid: int

    def counters(self) -> dict[str, Any]:
        """Return the current counters. `clock` is in seconds."""
        return dict(self._ask("GET").json())

    def turn(self, **knobs: Any) -> None:
        """Set options of the control page, which can also reset the counters and start a script."""
        self._ask("POST", json=knobs)

    def _ask(self, method: str, **given: Any) -> httpx.Response:
        address = self.url.removesuffix("/score") + "/_simulator"
        return httpx.request(method, address, timeout=30, trust_env=False, **given).raise_for_status()


@contextlib.contextmanager
def running_endpoint(**switches: Any) -> Iterator[RunningEndpoint]:
    """Run `python -m simulator --canned`.

    `service_time=0.25` becomes `--service-time 0.25`, and None omits a switch.
    """
    command = [sys.executable, "-m", "simulator", "--canned"]
    switches = {"key": _KEY, **switches}
    for name, value in switches.items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the simulator ended with {process.wait()}")
        yield RunningEndpoint(json.loads(line)["url"], _KEY, process.pid)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
