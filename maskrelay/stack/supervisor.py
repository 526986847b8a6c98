"""Start the stack's processes in order, restart a process that dies, and end all of them in reverse order."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from maskrelay.errors import StackError
from maskrelay.stack.child_process import ChildProcess, RunningProcess
from maskrelay.stack.forked_processes import ForkServer
from maskrelay.stack.orphan_guard import Watcher

#: Processes that start and end together. A stage starts when the previous one is ready.
Stage = Sequence[ChildProcess]
_START = timedelta(seconds=90)
_LOOK = 0.05
#: The seconds between two checks whether a process has ended by itself. Each check takes CPU time of an idle stack.
_WATCH = 0.25
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: The number of seconds that a process must run, so that the shortest pause applies to its next restart.
_STEADY = 60.0
#: If a process ends within this many seconds, its start has failed. Several failed starts of one process in a row end
#: the stack.
_STARTING = 15.0
_FAILED_STARTS = 3


@dataclass(slots=True)
class _Restart:
    """The state of the restarts of a process.

    `due` is the time of its next restart, `pause` the pause after its next death, and `started` the time of its last
    start. `failed_starts` is the number of consecutive starts that failed.
    """

    due: float | None = None
    pause: float = _PAUSE
    started: float = 0.0
    failed_starts: int = 0


@dataclass(slots=True)
class Ending:
    """The requests of signals: `wanted` ends the stack, and `at_once` also skips the rest of every grace period.

    Both are plain flags and not events, because a signal handler sets them. The code that the handler interrupts might
    hold the lock of an event, and the handler would wait for this lock forever.
    """

    wanted: bool = False
    at_once: bool = False


class Supervisor:
    """The running stack.

    `ending` is checked all the time. `held` are file descriptors that stay open until the last process of the stack has
    ended, even if the supervisor was killed. `modules` are imported once for all processes that are forked.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        environment: Mapping[str, str],
        logs: Path,
        say: Callable[[str], None],
        ending: Ending,
        held: tuple[int, ...] = (),
        modules: Sequence[str] = (),
    ) -> None:
        self._stages = stages
        self._children = {child.name: child for stage in stages for child in stage}
        self._environment = environment
        self._logs = logs
        self._say = say
        self._ending = ending
        self._held = held
        self._running: dict[str, RunningProcess] = {}
        self._restarts = {name: _Restart() for name in self._children}
        self._server = ForkServer(modules, environment, logs / "fork_server.log")
        self._server_group: int | None = None
        self._watcher: Watcher | None = None
        self._watched = 0.0  # when the watcher was last restarted
        #: All process groups that were ever started.
        self.groups: list[int] = []

    @property
    def processes(self) -> dict[str, int]:
        """Return the process id of each running process. Each leads a process group with the same number."""
        return {name: running.pid for name, running in self._running.items() if running.ended() is None}

    def start_all(self) -> None:
        """Start each stage when the previous one is ready.

        Raises StackError, with the name of the process that does not start.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        self._watcher = Watcher.start(self._held)
        for stage in self._stages:
            for child in stage:
                self._launch(child.name)
            for child in stage:
                self._await_ready(self._running[child.name])

    def start(self, name: str) -> None:
        """Start the process with this name, which must not be running, and wait until it is ready."""
        self._launch(name)
        self._await_ready(self._running[name])

    def kill(self, name: str) -> None:
        """Send SIGKILL to the process with this name and to all others in its group."""
        self._bury(name)

    def watch(self) -> None:
        """Restart processes that die, after growing pauses, until `ending` is set.

        Raises StackError if a process ends by itself three times in a row shortly after its start, because another
        start would probably fail too.
        """
        while not self._ending.wanted:
            time.sleep(_WATCH)
            for name in self._children:
                self._supervise(name)
            self._supervise_watcher()

    def end(self) -> None:
        """Terminate all processes in reverse order with SIGTERM.

        After the grace period, kill what remains of their groups with SIGKILL.
        """
        for stage in reversed(self._stages):
            stopping = [self._running[child.name] for child in stage if child.name in self._running]
            for running in stopping:
                running.terminate()
            for running in stopping:
                self._await_end(running)
                self._bury(running.child.name)
        self._server.close()
        if self._watcher is not None:
            self._watcher.close()

    def _launch(self, name: str) -> None:
        assert self._watcher is not None
        running = RunningProcess.start(
            self._children[name], self._environment, self._logs / f"{name}.log", self._server
        )
        self._watch_server()
        self._watcher.watch(running.pid)
        self.groups.append(running.pid)
        self._running[name] = running
        self._restarts[name].started = time.monotonic()

    def _watch_server(self) -> None:
        """Tell the watcher the group of the fork server, if the server was started since the last call."""
        assert self._watcher is not None
        group = self._server.pid
        if group != self._server_group and group is not None:
            if self._server_group is not None:
                self._watcher.forget(self._server_group)
            self._watcher.watch(group)
            self.groups.append(group)
            self._server_group = group

    def _await_ready(self, running: RunningProcess) -> None:
        deadline = time.monotonic() + _START.total_seconds()
        while running.child.ready is not None and not self._ending.wanted:
            code = running.ended()
            if code is not None:
                raise StackError(f"{running.child.name} ended with {_exit(code)}:\n{running.last_words()}")
            if running.child.ready():
                return
            if time.monotonic() > deadline:
                seconds = f"{_START.total_seconds():.0f} s"
                raise StackError(f"{running.child.name} is not ready after {seconds}:\n{running.last_words()}")
            time.sleep(_LOOK)

    def _supervise(self, name: str) -> None:
        restart, now = self._restarts[name], time.monotonic()
        if restart.due is not None:
            if now >= restart.due:
                restart.due = None
                self._launch(name)
            return
        code = self._running[name].ended()
        if code is None:
            return
        lived = now - restart.started
        if lived > _STEADY:
            restart.pause = _PAUSE
        restart.failed_starts = restart.failed_starts + 1 if lived < _STARTING and _by_itself(code) else 0
        log, last_words = self._running[name].log, self._running[name].last_words()
        self._bury(name)
        if restart.failed_starts == _FAILED_STARTS:
            raise StackError(f"{name} ended {_FAILED_STARTS} times during its start, with {_exit(code)}:\n{last_words}")
        self._say(f"{name} ended with {_exit(code)} (see {log}); it is restarted in {restart.pause:g} s")
        restart.due, restart.pause = now + restart.pause, min(2 * restart.pause, _LONGEST_PAUSE)

    def _supervise_watcher(self) -> None:
        """Restart the watcher if it has ended. Without it, the processes would continue if the supervisor is killed."""
        assert self._watcher is not None
        if time.monotonic() - self._watched >= _PAUSE and self._watcher.check():
            self._watched = time.monotonic()
            self._say("the watcher ended and was restarted")

    def _await_end(self, running: RunningProcess) -> None:
        deadline = time.monotonic() + running.child.grace.total_seconds()
        while running.ended() is None and not self._ending.at_once:
            if time.monotonic() > deadline:
                self._say(f"{running.child.name} did not stop in time and is killed")
                return
            time.sleep(_LOOK)

    def _bury(self, name: str) -> None:
        """Kill what remains of the process's group, and remove the group from the watcher's list."""
        assert self._watcher is not None
        running = self._running.pop(name)
        running.kill()
        self._watcher.forget(running.pid)


def _by_itself(code: int) -> bool:
    """Return whether the process ended by itself and not by a signal from outside."""
    return -code not in {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
