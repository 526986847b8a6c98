"""More processes than a stack begins with, which are started and ended as a Deployment does with its pods."""

import sys
from dataclasses import replace
from pathlib import Path

from maskrelay.stack.loopback import HOST, free_port, says_ok
from tests.support.drivers.stack_behind_proxies import Scene, after, port_of
from tests.support.servers.services import Service
from worker import alive

ROOT = Path(__file__).parents[3]
#: The most segment workers of a test, by name.
SEGMENTS = ("segment", "segment 2", "segment 3", "segment 4")
#: The pause before a process ends. In the chart it is 5 s, but the service in these tests knows at once that
#: a pod ends.
PRE_STOP_S = 1
_IN_TREE = ("sh", "-c", 'cd "$1" && shift && exec env "$@"', "sh")


def start_worker(at: Scene, role: str, name: str, tree: Path = ROOT) -> None:
    """Start one more worker of this role from the code of `tree`. Return when the chart's probe finds it ready."""
    heart = at.folder / f"{name}.heartbeat"
    heart.unlink(missing_ok=True)
    told = {"MASKRELAY_HEARTBEAT_FILE": str(heart)}
    command = (*_IN_TREE, str(tree), *(f"{key}={value}" for key, value in told.items()))
    supervisor = at.stack.stack.supervisor
    supervisor._children[name] = replace(
        supervisor._children[role],
        name=name,
        command=(*command, sys.executable, "-m", "worker", role),
        forked=False,
        ready=lambda: heart.exists() and alive.main(["--ready"], told) == 0,
    )
    supervisor._restarts[name] = type(supervisor._restarts[role])()
    at.start(name)


def keep_segments(at: Scene, count: int) -> None:
    """Let this many segment workers run, as a Deployment's `replicas` does. The youngest end first."""
    for name in SEGMENTS[:count]:
        if name not in at.stack.processes:
            start_worker(at, "segment", name)
    for name in reversed(SEGMENTS[count:]):
        if name in at.stack.processes:
            at.stop(name)


def replace_worker(at: Scene, role: str, tree: Path) -> None:
    """Start a worker of `tree`, which gets the role's name. The old one is ended when the new one is ready."""
    old = _renamed(at, role)
    start_worker(at, role, role, tree)
    at.stop(old)


def replace_api(at: Scene, service: Service, tree: Path) -> None:
    """Replace the API in the same way. A process that is ending is no longer an endpoint of the service."""
    old = _renamed(at, "api")
    supervisor, port = at.stack.stack.supervisor, free_port()
    url, before = f"http://{HOST}:{port}", str(port_of(at.stack.url))
    child = supervisor._children["api"]
    command = tuple(str(port) if word == before else word for word in child.command)
    supervisor._children["api"] = replace(
        child,
        command=(*_IN_TREE, str(tree), *command),
        forked=False,
        ready=lambda: says_ok(f"{url}/livez") and says_ok(f"{url}/readyz"),
    )
    at.start("api")
    service.ports = [port]
    assert after(PRE_STOP_S)
    at.stop(old)


def _renamed(at: Scene, name: str) -> str:
    """Give another name to what runs under this name."""
    supervisor, other = at.stack.stack.supervisor, f"{name} before"
    for known in (supervisor._children, supervisor._restarts):
        known[other] = known[name]
    supervisor._running[other] = supervisor._running.pop(name)
    return other
