"""A worker's heartbeat: a file touched by the loop that consumes wake-ups, for the probe `worker.alive`."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps

#: Seconds between two heartbeats.
PERIOD = 5.0


def beating(app: Celery, path: Path, is_whole: Callable[[], bool]) -> None:
    """Let the app's worker touch `path` as long as it is connected, its loop runs, and `is_whole()` is true.

    A file left by an earlier worker is deleted: the first heartbeat shows that this worker is ready.
    """
    path.unlink(missing_ok=True)

    def beat() -> None:
        with contextlib.suppress(OSError):  # a full disk is no reason to drop the connection
            if is_whole():
                path.touch()

    repeating(app, "heart", PERIOD, beat)


def repeating(app: Celery, what: str, period: float, act: Callable[[], None]) -> None:
    """Let the app's worker call `act` in its own loop, at once and every `period` seconds, while it is connected."""

    class Repeated(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Starts again with every connection, since losing one cancels its timers."""

        name = f"maskrelay.{what}"  # Celery keeps one step per name
        requires = ("celery.worker.consumer.tasks:Tasks",)
        _next: Any = None

        def start(self, consumer: Any) -> None:
            act()
            self._next = consumer.timer.call_repeatedly(period, act)

        def stop(self, _consumer: Any) -> None:
            if self._next is not None:
                self._next.cancel()

    app.steps["consumer"].add(Repeated)
