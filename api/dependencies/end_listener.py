"""A listener for the announced ends of jobs. All waiting requests of a process share one subscription."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from maskrelay.ledger.notifications import Notifications

#: The number of seconds for which the subscription is kept after the last request. Another request often follows, and
#: connecting again costs as much as three queries.
KEPT_S = 15.0


class JobEndListener:
    """The requests that wait for the end of a job.

    A single subscription serves all of them. It exists while there is at least one such request, and for `KEPT_S`
    seconds afterwards.
    """

    def __init__(self, bells: Notifications) -> None:
        self._bells = bells
        #: True after this process has begun to shut down. From then on, no request may wait.
        self.closed = False
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._unsubscribing: asyncio.TimerHandle | None = None

    @contextmanager
    def of(self, job: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the end of the job is announced."""
        ended = asyncio.Event()
        self._waiting.setdefault(job, set()).add(ended)
        if self._unsubscribing is not None:
            self._unsubscribing.cancel()
            self._unsubscribing = None
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._bells.listen("ended", self._announce))
        try:
            yield ended
        finally:
            self._leave(job, ended)

    def close(self) -> None:
        """Release all waiting requests. From now on, no request may wait."""
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
        if not self._waiting:
            self._unsubscribing = asyncio.get_running_loop().call_later(KEPT_S, self._unsubscribe)

    def _unsubscribe(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
