"""The events of one job: its state whenever it changes, and its items as they are completed.

The id of an event says where to continue reading. Any process can continue from there. While the job runs, it is a
place in the job's list of outcome parts, such as `r12.0`. When the job has ended, it is the number of an item, such as
`f7`.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from api.dependencies import Dependencies, in_thread
from api.dependencies.broadcast import Broadcast
from api.jobs.completed_items import Place, completed_items
from api.jobs.ended_items import ended_events
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import body_of, etag_of, item_event, job_shown, job_url
from api.jobs.server_sent_events import encoded
from maskrelay.errors import Gone, LedgerUnavailable, NotFound, StorageUnavailable

#: The shortest time between two reads, and the longest time without one, in seconds. A notification may be lost.
_LEAST_S, _MOST_S = 0.25, 5.0
#: The number of items that are read at a time.
PAGE = 50


@dataclass(frozen=True, slots=True)
class _Update:
    """What one read has found: new events, the current `job` event, and where to go on."""

    events: list[bytes]
    latest: bytes
    place: Place
    #: Whether there is more to read at once.
    more: bool = False
    ended: bool = False


class JobFeed:
    """The events of a running job for all its listeners in this process. An instance belongs to one event loop.

    `base` is the beginning of links.
    """

    def __init__(self, dependencies: Dependencies, tenant: str, job: str, base: str) -> None:
        self.events = Broadcast()
        #: The current `job` event. It is None until the job has been read.
        self.latest: bytes | None = None
        #: The place up to which completed items were read.
        self.place: Place = (0, 0)
        self._dependencies = dependencies
        self._tenant = tenant
        self._job = job
        self._base = base
        self._changed = asyncio.Event()
        self._etag = ""
        #: The number of items that had ended before the feed began.
        self._before = 0
        #: A byte for each item: 1 if the feed has sent an event for it.
        self._sent = bytearray()

    def changed(self, job: str) -> None:  # noqa: ARG002 - the feed has only one job
        self._changed.set()

    def close(self) -> None:
        self.events.end()

    async def run(self) -> None:
        while not self.events.ended:
            self._changed.clear()
            more = False
            try:
                update = await in_thread(self._read)
            except (NotFound, Gone):
                return
            except (LedgerUnavailable, StorageUnavailable):
                pass  # the stream goes on when they respond again
            else:
                self.latest, self.place, more = update.latest, update.place, update.more
                self.events.add(*update.events)
                if update.ended:
                    return
            if not more:
                await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(_LEAST_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_MOST_S):
                await self._changed.wait()

    def _read(self) -> _Update:
        """Read the state of the job and the next page of completed items."""
        known = find_job(self._dependencies, self._tenant, self._job)
        if known.terminal:
            return self._ended(known)
        place = self.place
        count = self._dependencies.ledger.jobs.part_count(self._job)
        if self.latest is None:  # only items that are completed from now on have events
            self._before, place = _ended_items(known), (count, 0)
        elif count < place[0]:  # Redis has lost the list; the parts are listed again
            place = (0, 0)
        lines, following = completed_items(self._dependencies, known, place, PAGE)
        after = following or max(place, (count, 0))
        url = job_url(self._base, self._job)
        new = [line for line in lines if self._is_new(line.item)]
        # Until the last item of the page was sent, a listener has to go on from the beginning of the page.
        events = [item_event(line, self._job, url, place_id(place)) for line in new[:-1]]
        events += [item_event(line, self._job, url, place_id(after)) for line in new[-1:]]
        etag = etag_of(known)
        shown = encoded("job", place_id(after), body_of(job_shown(known, self._base)))
        if etag != self._etag:
            self._etag = etag
            events.append(shown)
        return _Update(events, shown, after, more=following is not None)

    def _ended(self, known: JobSnapshot) -> _Update:
        missing = known.counts().total - self._before - sum(self._sent)
        events = []
        if missing > 0:
            items = ended_events(self._dependencies, known, self._base, first=0, without=self._sent)
            events = [event for page in items for event in page]
        end = encoded("end", end_id(known), body_of(job_shown(known, self._base)))
        return _Update([*events, end], end, self.place, ended=True)

    def _is_new(self, item: int) -> bool:
        if item >= len(self._sent):
            self._sent.extend(bytes(item + 1 - len(self._sent)))
        new = not self._sent[item]
        self._sent[item] = 1
        return new


def _ended_items(known: JobSnapshot) -> int:
    counts = known.counts()
    return counts.succeeded + counts.partial + counts.failed + counts.cancelled


def place_id(place: Place) -> str:
    return f"r{place[0]}.{place[1]}"


def end_id(known: JobSnapshot) -> str:
    return f"f{known.counts().total}"
