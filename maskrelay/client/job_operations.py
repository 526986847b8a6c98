"""What the clients do with jobs, written once for both drivers."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from maskrelay.client.download import Folder, SavedFile, SaveRecord, wanted
from maskrelay.client.exchange import Exchange, Operation, Pause
from maskrelay.client.manifest import write_manifest
from maskrelay.client.responses import Pages, read_as
from maskrelay.client.service_calls import address_elsewhere, call, delete, get, lies_elsewhere, post, reply_to
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.dead_letter_views import RedriveList
from maskrelay.contract.views.delivery_views import DeliveryList, DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointList, EndpointShown
from maskrelay.contract.views.job_views import ItemList, ItemShown, JobList, JobShown
from maskrelay.contract.vocabulary.trained_targets import TargetList, TargetShown
from maskrelay.errors import ServiceAnswerUnknown, WaitTimeout

#: The time for which `wait` keeps trying to reach the service during an outage.
_PATIENCE = timedelta(minutes=5)
_LONG_POLL_S, _SHORT_POLL_S = 30, 1
_LEAST_PAUSE = 0.5
#: The states of an item that has ended.
_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})


def job_shown(job_id: str) -> Operation[JobShown]:
    return read_as(JobShown, (yield from call(get(f"/v1/jobs/{job_id}"))))


def ended_job(
    job_id: str, timeout: timedelta | None, on_progress: Callable[[JobShown], None] | None
) -> Operation[JobShown]:
    """Return the job when it has ended. Raises WaitTimeout."""
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    poll = _LONG_POLL_S if on_progress is None else _SHORT_POLL_S
    while True:
        asked = time.monotonic()
        left = poll if deadline is None else max(0, min(poll, round(deadline - asked)))
        job = read_as(JobShown, (yield from call(get(f"/v1/jobs/{job_id}", wait_s=left), patience=_PATIENCE)))
        if on_progress is not None:
            on_progress(job)
        if job.state in TERMINAL:
            return job
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise WaitTimeout(f"job {job_id} is still {job.state}")
        yield Pause(max(0.0, min(asked + _LEAST_PAUSE, deadline or now + 1) - now))


def all_items(job_id: str) -> Operation[list[ItemShown]]:
    pages, items = ItemPages(job_id), list[ItemShown]()
    while (page := (yield from pages.following())) is not None:
        items += page
    return items


def job_page(limit: int) -> Operation[JobList]:
    """Return the newest jobs."""
    return read_as(JobList, (yield from call(get("/v1/jobs", limit=limit))))


def item_page(job_id: str, cursor: str | None, limit: int) -> Operation[ItemList]:
    """Return the page of items that begins at `cursor`."""
    return read_as(ItemList, (yield from call(get(f"/v1/jobs/{job_id}/items", cursor=cursor, limit=limit))))


class ItemPages:
    """The items of a job, page by page. `cursor` is where the next page begins."""

    def __init__(self, job_id: str, cursor: str | None = None) -> None:
        self.pages: Pages[ItemList] = Pages(f"/v1/jobs/{job_id}/items", ItemList, cursor)

    def following(self) -> Operation[list[ItemShown] | None]:
        """Return the items of the next page, or None after the last one."""
        page = yield from self.pages.following()
        return None if page is None else page.items


class CompletedItems:
    """The items of a job in the order in which they end, each once, until the job has ended."""

    def __init__(self, job_id: str) -> None:
        self._job = job_id
        self._cursor: str | None = None
        self._seen: set[str] = set()
        self._ended = False

    def following(self) -> Operation[list[ItemShown] | None]:
        """Return the items that have ended since the last call, or None if there are no more."""
        if self._ended:
            return None
        wait_s = _SHORT_POLL_S if self._seen else 0
        path = f"/v1/jobs/{self._job}"
        job = read_as(JobShown, (yield from call(get(path, wait_s=wait_s), patience=_PATIENCE)))
        self._ended = job.state in TERMINAL  # then the items that are read now are all
        if not self._ended and not self._seen:
            yield Pause(_LEAST_PAUSE / 5)
        new: list[ItemShown] = []
        items = ItemPages(self._job, self._cursor)
        while (page := (yield from items.following())) is not None:
            fresh = [item for item in page if item.state in _ENDED and item.custom_id not in self._seen]
            self._seen.update(item.custom_id for item in fresh)
            new += fresh
        self._cursor = items.pages.cursor
        return new


def saved_files(
    job_id: str, folder: str | os.PathLike[str], record: SaveRecord, items: Sequence[ItemShown] | None = None
) -> Operation[list[SavedFile]]:
    """Save all available artifacts in `folder`, and return the saved files in order of the items."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if items is None:
        items = yield from all_items(job_id)
    artifacts = {artifact.link: artifact for item in items for artifact in wanted(item)}
    saved = yield from Folder(folder, job_id, items).save_all(list(artifacts.values()), record)
    write_manifest(folder, job_id, items, saved)
    return saved


def artifact_bytes(link: str) -> Operation[bytes]:
    """Return the content of one artifact. The object store, if the service redirects to one, does not get the key."""
    reply = yield from reply_to(Exchange("GET", link))
    if not lies_elsewhere(reply.status, reply.headers):
        return reply.body
    stored = yield from reply_to(Exchange("GET", str(address_elsewhere(reply)), elsewhere=True))
    return stored.body


def cancelled_job(job_id: str) -> Operation[JobShown]:
    return read_as(JobShown, (yield from call(post(f"/v1/jobs/{job_id}/cancel"))))


def deleted_job(job_id: str) -> Operation[None]:
    yield from delete(f"/v1/jobs/{job_id}")


def redriven_job(job_id: str, code: str | None) -> Operation[JobShown]:
    return read_as(JobShown, (yield from call(post(f"/v1/jobs/{job_id}/redrive", code=code))))


def redriven_jobs(code: str | None) -> Operation[RedriveList]:
    cursor, done = None, RedriveList(jobs=[], refused=[])
    while True:
        page = read_as(RedriveList, (yield from call(post("/v1/redrive", code=code, cursor=cursor))))
        done.jobs += page.jobs
        done.refused += page.refused
        cursor = page.next
        if cursor is None:
            return done


def deliveries_of(job_id: str) -> Operation[list[DeliveryShown]]:
    return read_as(DeliveryList, (yield from call(get(f"/v1/jobs/{job_id}/deliveries")))).deliveries


def replayed_event(job_id: str, event: str) -> Operation[DeliveryShown]:
    return read_as(DeliveryShown, (yield from call(post(f"/v1/jobs/{job_id}/deliveries/{event}/replay"))))


def service_version() -> Operation[str]:
    """Return the version of the service. Raises ServiceAnswerUnknown if it is not maskrelay."""
    answer = yield from call(get("/v1/sign-in"))
    try:
        return str(answer["version"])
    except (TypeError, KeyError):
        raise ServiceAnswerUnknown from None


def endpoints_shown() -> Operation[list[EndpointShown]]:
    return read_as(EndpointList, (yield from call(get("/v1/endpoints")))).endpoints


def trained_prompts(modality: str | None, site: str | None) -> Operation[list[TargetShown]]:
    return read_as(TargetList, (yield from call(get("/v1/prompts", modality=modality, site=site)))).prompts
