"""Listen for the announced ends of jobs: one listener a process, however many requests wait."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from maskrelay.ledger.notifications import Notifications


class JobEndListener:
    """The requests that wait for the end of jobs. One subscription while any request waits, however many there are."""

    def __init__(self, bells: Notifications) -> None:
        self._bells = bells
        #: True once this process is shutting down; nothing may wait any more.
        self.closed = False
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, job: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the job's end is announced."""
        ended = asyncio.Event()
        self._waiting.setdefault(job, set()).add(ended)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._bells.listen("ended", self._announce))
        try:
            yield ended
        finally:
            self._leave(job, ended)

    def close(self) -> None:
        """Release all waiters and refuse new ones."""
        self.closed = True
        for waiting in self._waiting.values():
            for ended in waiting:
                ended.set()

    def _announce(self, job: str) -> None:
        for ended in self._waiting.get(job, ()):
            ended.set()

    def _leave(self, job: str, ended: asyncio.Event) -> None:
        self._waiting[job].discard(ended)
        if not self._waiting[job]:
            del self._waiting[job]
        if not self._waiting and self._listening is not None:
            self._listening.cancel()
            self._listening = None
