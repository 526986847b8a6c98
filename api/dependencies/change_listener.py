"""A listener for the announced changes of jobs. All event streams of a process share one subscription to Redis."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from maskrelay.ledger.notifications import Notifications

log = logging.getLogger(__name__)


class Feed(Protocol):
    """What all listeners to one job, or to the jobs of one tenant, share."""

    def changed(self, job: str) -> None:
        """Take note that this job has changed."""

    async def run(self) -> None:
        """Read what changes, until there is nothing more to come or the task is cancelled."""

    def close(self) -> None:
        """End the stream for all listeners."""


F = TypeVar("F", bound=Feed)


@dataclass(slots=True)
class _RunningFeed:
    feed: Feed
    task: asyncio.Task[None]
    listeners: int = 0


class ChangeListener:
    """The feeds of a process. A feed runs while it has listeners. An instance belongs to one event loop.

    The subscription exists while there is a feed. It may be lost at any time, so the feeds also poll.
    """

    def __init__(self, bells: Notifications) -> None:
        self._bells = bells
        #: True after this process has begun to shut down. From then on, no stream may begin.
        self.closed = False
        #: The feeds by their topic, which is the id of a job or the name of a tenant, and by the beginning of links.
        self._feeds: dict[str, dict[str, _RunningFeed]] = {}
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def feed(self, topic: str, base: str, make: Callable[[], F]) -> Iterator[F]:
        """Yield the feed of this topic with links that begin with `base`.

        If there is none, `make` returns a new one, which runs from now on.
        """
        of_topic = self._feeds.setdefault(topic, {})
        if base not in of_topic:
            feed = make()
            of_topic[base] = _RunningFeed(feed, asyncio.create_task(_run(feed)))
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._bells.listen("changed", self._dispatch))
        of_topic[base].listeners += 1
        try:
            yield cast("F", of_topic[base].feed)
        finally:
            self._leave(topic, base)

    def close(self) -> None:
        """End all streams. From now on, no stream may begin."""
        self.closed = True
        for of_topic in self._feeds.values():
            for running in of_topic.values():
                running.feed.close()

    def _dispatch(self, message: str) -> None:
        job, _, tenant = message.partition(" ")
        for topic in (job, tenant_topic(tenant)):
            for running in self._feeds.get(topic, {}).values():
                running.feed.changed(job)

    def _leave(self, topic: str, base: str) -> None:
        running = self._feeds[topic][base]
        running.listeners -= 1
        if running.listeners:
            return
        running.task.cancel()
        del self._feeds[topic][base]
        if not self._feeds[topic]:
            del self._feeds[topic]
        if not self._feeds and self._listening is not None:
            self._listening.cancel()
            self._listening = None


def tenant_topic(tenant: str) -> str:
    """Return the topic of all jobs of a tenant. It is not the id of a job."""
    return f"tenant {tenant}"


async def _run(feed: Feed) -> None:
    try:
        await feed.run()
    except Exception:
        log.exception("a stream of events ended")
    finally:
        feed.close()
