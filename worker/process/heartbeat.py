"""A worker's heartbeat. The loop that receives wake-ups touches a file, which the probe `worker.alive` checks."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps

#: The seconds between two heartbeats.
PERIOD = 5.0


def beating(app: Celery, path: Path, is_whole: Callable[[], bool]) -> None:
    """Let the worker touch `path` as long as it is connected, its loop runs, and `is_whole()` returns True.

    The file of an earlier worker is deleted first. If the file exists, this worker is therefore ready.
    """
    path.unlink(missing_ok=True)

    def beat() -> None:
        with contextlib.suppress(OSError):  # otherwise, a full disk would end the connection to Redis
            if is_whole():
                path.touch()

    repeating(app, "heart", PERIOD, beat)


def repeating(app: Celery, what: str, period: float, act: Callable[[], None]) -> None:
    """Let the worker call `act` in its own loop, at once and then every `period` seconds, while it is connected."""

    class Repeated(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """A step that starts again with every connection, because a lost connection cancels its timer."""

        name = f"maskrelay.{what}"  # Celery keeps one step for each name
        requires = ("celery.worker.consumer.tasks:Tasks",)
        _next: Any = None

        def start(self, consumer: Any) -> None:
            act()
            self._next = consumer.timer.call_repeatedly(period, act)

        def stop(self, _consumer: Any) -> None:
            if self._next is not None:
                self._next.cancel()

    app.steps["consumer"].add(Repeated)
