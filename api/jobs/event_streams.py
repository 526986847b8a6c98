"""The streams of events that callers listen to: the events of one job, and those of all jobs of a tenant."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Dependencies, base_of, dependencies_of, in_thread, tenant_of
from api.dependencies.broadcast import Broadcast
from api.dependencies.change_listener import tenant_topic
from api.jobs.completed_items import Place, completed_items
from api.jobs.ended_items import MOST_ITEMS, ended_events
from api.jobs.job_feed import PAGE, JobFeed, end_id, place_id
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import body_of, item_event, job_shown, job_url
from api.jobs.server_sent_events import HEARTBEAT, HEARTBEAT_S, RETRY, dropped, encoded, follow, streamed
from api.jobs.tenant_feed import TenantFeed
from maskrelay.errors import LedgerUnavailable, StorageUnavailable

From = Annotated[
    Literal["now", "start"],
    Query(alias="from", description="Whether events of items that were completed before are sent too."),
]
LastId = Annotated[
    str | None, Query(max_length=40, description="The id of the last event, if the header `Last-Event-ID` is not sent.")
]
_RUNNING, _ENDED = re.compile(r"r([0-9]{1,9})\.([0-9]{1,9})"), re.compile(r"f([0-9]{1,9})")
_START = "r0.0"


async def follow_job(request: Request, job: str, begin: From = "now", last_event_id: LastId = None) -> Response:
    """Send the events of a job as they happen (server-sent events), until it has ended.

    `job` has the job's state and counts, first at once and then after each change. `item` announces a completed item.
    An item may be announced more than once. `dropped` says that events of items were skipped, so the list of items
    must be read. `end` is the last event. If the stream ends without it, connect again with `Last-Event-ID`. A stream
    ends after 15 minutes at the latest.
    """
    dependencies, tenant = dependencies_of(request), tenant_of(request)
    known = await in_thread(find_job, dependencies, tenant, job)
    resumed = request.headers.get("last-event-id") or last_event_id or (_START if begin == "start" else None)
    events = _job_events(dependencies, known, base_of(request), resumed)
    return streamed(events, head=getattr(request.state, "head", False))


async def follow_jobs(request: Request, last_event_id: LastId = None) -> Response:
    """Send an event `job` for each unfinished job of the tenant, and then for each change of a job.

    With `Last-Event-ID`, jobs that have ended since then are sent too. `dropped` says that there may be more of them.
    `gone` says that a job was deleted. The stream ends after 15 minutes at the latest; connect again with
    `Last-Event-ID`.
    """
    dependencies, tenant, base = dependencies_of(request), tenant_of(request), base_of(request)
    # if Redis does not respond, this raises LedgerUnavailable before the stream begins
    await in_thread(dependencies.ledger.jobs.listed, tenant, None, 1)
    resumed = request.headers.get("last-event-id") or last_event_id
    return streamed(_tenant_events(dependencies, tenant, base, resumed), head=getattr(request.state, "head", False))


async def _job_events(
    dependencies: Dependencies, known: JobSnapshot, base: str, resumed: str | None
) -> AsyncGenerator[bytes]:
    yield RETRY
    if known.terminal:
        async for events in _after_the_end(dependencies, known, base, resumed):
            yield events
        return
    if dependencies.changes.closed:
        return

    def made() -> JobFeed:
        return JobFeed(dependencies, known.submission.tenant, known.id, base)

    with dependencies.changes.feed(known.id, base, made) as feed:
        async for comment in _until_read(feed.events):
            yield comment
        if feed.latest is None:
            return
        number, place = feed.events.count, feed.place
        if not feed.events.ended:
            yield feed.latest
            async for events in _missed(dependencies, known, base, resumed, place):
                yield events
        else:  # the job has ended meanwhile
            number = 0
        async for events in follow(feed.events, number, lambda: place_id(feed.place)):
            yield events


async def _until_read(events: Broadcast) -> AsyncIterator[bytes]:
    """Wait for the first event of a feed, which comes at once unless Redis or the store does not respond."""
    while not events.count and not events.ended:
        await events.wait(0, HEARTBEAT_S)
        if not events.count:
            yield HEARTBEAT


async def _missed(
    dependencies: Dependencies, known: JobSnapshot, base: str, resumed: str | None, until: Place
) -> AsyncIterator[bytes]:
    """Yield the events of the items that were completed between the event `resumed` and the place `until`."""
    if resumed is None:
        return
    parsed = _RUNNING.fullmatch(resumed)
    place = (int(parsed[1]), int(parsed[2])) if parsed else None
    if place is None or place > until:
        yield dropped(place_id(until), "unknown_id")
        return
    url, left = job_url(base, known.id), MOST_ITEMS
    while place is not None and place < until:
        try:
            lines, following = await in_thread(completed_items, dependencies, known, place, PAGE)
        except (LedgerUnavailable, StorageUnavailable):
            yield dropped(place_id(place), "unavailable")
            return
        left -= len(lines)
        if left < 0:
            yield dropped(place_id(until), "too_old")
            return
        if lines:
            before, after = place_id(place), place_id(following or until)
            events = [item_event(line, known.id, url, before) for line in lines[:-1]]
            yield b"".join([*events, item_event(lines[-1], known.id, url, after)])
        place = following


async def _after_the_end(
    dependencies: Dependencies, known: JobSnapshot, base: str, resumed: str | None
) -> AsyncIterator[bytes]:
    """Yield the events of a job that had ended when the stream began."""
    if resumed is not None:
        ended = _ENDED.fullmatch(resumed)
        if ended is None and not _RUNNING.fullmatch(resumed):
            yield dropped(end_id(known), "unknown_id")
        else:
            pages = ended_events(dependencies, known, base, first=int(ended[1]) if ended else 0)
            while (page := await in_thread(next, pages, None)) is not None:
                yield b"".join(page)
    yield encoded("end", end_id(known), body_of(job_shown(known, base)))


async def _tenant_events(
    dependencies: Dependencies, tenant: str, base: str, resumed: str | None
) -> AsyncGenerator[bytes]:
    yield RETRY
    if dependencies.changes.closed:
        return
    with dependencies.changes.feed(tenant_topic(tenant), base, lambda: TenantFeed(dependencies, tenant, base)) as feed:
        while not feed.ready and not feed.events.ended:
            await feed.wait_ready(HEARTBEAT_S)
            if not feed.ready:
                yield HEARTBEAT
        number = feed.events.count
        for event in feed.snapshot(resumed):
            yield event
        async for events in follow(feed.events, number, feed.place):
            yield events
