"""The client for asyncio: the methods of `Client`, to be awaited.

Both are thin shells over the same operations. The signatures are written twice, although they are equal, because an
editor and a type checker read them in the source: methods that are made when the module is imported have no types. A
test compares the two classes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from maskrelay.client import job_operations as operations
from maskrelay.client.async_connection import AsyncConnection
from maskrelay.client.client_arguments import job_options, service_and_key, submission_of
from maskrelay.client.download import SavedFile, SaveRecord
from maskrelay.client.exchange import Operation
from maskrelay.client.job_handles import AsyncItem, AsyncJob
from maskrelay.client.mapped_items import MappedItems
from maskrelay.client.responses import Pages
from maskrelay.client.run_operations import submitted_run
from maskrelay.client.service_events import JobEvent, JobEvents
from maskrelay.client.submission import submit, texts
from maskrelay.client.upload_sources import Source
from maskrelay.client.watch_operations import added_watch, removed_watch, watches_shown
from maskrelay.contract.records.job import Lane
from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.contract.views.dead_letter_views import DeadLetterList, DeadLetterShown, RedriveList
from maskrelay.contract.views.delivery_views import DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointShown
from maskrelay.contract.views.job_views import ItemShown, JobList, JobShown
from maskrelay.contract.views.watch_views import WatchShown
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.contract.vocabulary.trained_targets import TargetShown
from maskrelay.errors import MaskrelayError

_TIMEOUT = timedelta(seconds=60)
_T = TypeVar("_T")


class AsyncClient:
    """A client of the service at `url` for one event loop. Its methods do what those of `Client` do."""

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout: timedelta = _TIMEOUT) -> None:
        url, api_key = service_and_key(url, api_key)
        self._connection = AsyncConnection(url, api_key, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def _run(self, operation: Operation[_T]) -> _T:
        return await self._connection.run(operation)

    async def _read(self, link: str) -> bytes:
        return await self._run(operations.artifact_bytes(link))

    async def submit(
        self,
        files: Source | Sequence[Source],
        prompts: str | Sequence[str],
        *,
        outputs: Output | Sequence[Output] | None = None,
        callback: str | None = None,
        lane: Lane | None = None,
        endpoint: str | None = None,
        metadata: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        custom_ids: str | Sequence[str] | None = None,
        idempotency_key: str | None = None,
        wait_s: int = 0,
        on_upload: Callable[[int], None] | None = None,
    ) -> AsyncJob:
        """Submit every file with every prompt as one job, and return the accepted job.

        See `Client.submit`.
        """
        submission = submission_of(
            files,
            prompts,
            outputs=outputs,
            callback=callback,
            lane=lane,
            endpoint=endpoint,
            metadata=metadata,
            options=options,
            custom_ids=custom_ids,
            idempotency_key=idempotency_key,
            wait_s=wait_s,
            on_upload=on_upload,
        )
        return AsyncJob.of(self, await self._run(submit(submission)))

    async def map(
        self,
        files: Iterable[Source],
        prompts: str | Sequence[str],
        *,
        outputs: Output | Sequence[Output] | None = None,
        options: dict[str, Any] | None = None,
        batch: int = 20,
        jobs: int = 4,
    ) -> AsyncIterator[AsyncItem]:
        """Submit any number of files as jobs with `batch` files each, and yield their items in order.

        See `Client.map`.
        """
        mapped = MappedItems(files, texts(prompts, "Prompt"), job_options(outputs, options), batch, jobs)
        while (items := await self._run(mapped.following())) is not None:
            for item in items:
                yield AsyncItem.of(self._read, item)

    async def run(
        self,
        source: str,
        prompts: str | Sequence[str] = (),
        *,
        credential: str | None = None,
        manifest_format: ManifestFormat | None = None,
        outputs: Output | Sequence[Output] | None = None,
        options: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
        wait_s: int = 0,
    ) -> AsyncJob:
        """Submit the objects of a listing, or the rows of a manifest, as one job, and return the accepted job.

        See `Client.run`.
        """
        wanted = job_options(outputs, options)
        operation = submitted_run(source, prompts, credential, manifest_format, wanted, idempotency_key, wait_s)
        return AsyncJob.of(self, await self._run(operation))

    async def job(self, job_id: str) -> AsyncJob:
        """Return the job in its current state."""
        return AsyncJob.of(self, await self._run(operations.job_shown(job_id)))

    async def jobs(self, *, unreadable: Callable[[str], None] = lambda _id: None) -> AsyncIterator[AsyncJob]:
        """Yield all jobs of the tenant that this key belongs to, newest first.

        See `Client.jobs`.
        """
        pages = Pages("/v1/jobs", JobList)
        while (page := await self._run(pages.following())) is not None:
            for job in page.jobs:
                yield AsyncJob.of(self, job)
            for job_id in page.unreadable:
                unreadable(job_id)

    async def watch(
        self,
        source: str,
        prompts: str | Sequence[str],
        *,
        credential: str | None = None,
        pattern: str | None = None,
        settle_s: float | None = None,
        expected: int | None = None,
        period_s: float | None = None,
        changes: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> WatchShown:
        """Watch a prefix of a store. Every folder in it becomes a job when its objects have arrived.

        See `Client.watch`.
        """
        more: dict[str, Any] = {"credential": credential, "pattern": pattern, "options": options}
        more |= {"settle_s": settle_s, "expected": expected, "period_s": period_s, "changes": changes}
        return await self._run(added_watch(source, texts(prompts, "Prompt"), more))

    async def watches(self) -> list[WatchShown]:
        """Return the watches of the tenant."""
        return await self._run(watches_shown())

    async def unwatch(self, watch_id: str) -> None:
        """End a watch. The jobs that it has submitted continue."""
        await self._run(removed_watch(watch_id))

    async def endpoints(self) -> list[EndpointShown]:
        """Return the limits, load and recent errors of each endpoint that may score this key's jobs."""
        return await self._run(operations.endpoints_shown())

    async def prompts(self, modality: str | None = None, site: str | None = None) -> list[TargetShown]:
        """Return the targets on which the model was trained, each with a prompt.

        See `Client.prompts`.
        """
        return await self._run(operations.trained_prompts(modality, site))

    async def wait(
        self,
        job_id: str,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - the same as in Client
        on_progress: Callable[[JobShown], None] | None = None,
    ) -> AsyncJob:
        """Wait until the job has ended, and return it. `on_progress` is called with the job about once per second.

        See `Client.wait`.
        """
        return AsyncJob.of(self, await self._run(operations.ended_job(job_id, timeout, on_progress)))

    async def items(self, job_id: str, *, as_completed: bool = False) -> AsyncIterator[AsyncItem]:
        """Yield the job's items.

        See `Client.items`.
        """
        pages = operations.CompletedItems(job_id) if as_completed else operations.ItemPages(job_id)
        while (items := await self._run(pages.following())) is not None:
            for item in items:
                yield AsyncItem.of(self._read, item)

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        """Yield the events of the job, as the service sends them, until the job has ended.

        See `Client.events`.
        """
        events = JobEvents(job_id)
        while not events.ended:
            error: MaskrelayError | httpx.HTTPError | None = None
            try:
                async with self._connection.streamed(events.exchange()) as pieces:
                    async for piece in pieces:
                        for each in events.feed(piece):
                            yield each
            except (MaskrelayError, httpx.HTTPError) as trouble:
                error = trouble
            if not events.ended:
                await asyncio.sleep(events.pause(error))

    async def save(
        self, job_id: str, folder: str | os.PathLike[str], *, items: Sequence[ItemShown] | None = None
    ) -> list[SavedFile]:
        """Save all available artifacts in `folder`, which is created, and return the saved files in order of the items.

        See `Client.save`.
        """
        return await self._run(operations.saved_files(job_id, folder, SaveRecord(), items))

    async def deliveries(self, job_id: str) -> list[DeliveryShown]:
        """Return the job's events so far, and the state of the delivery of each."""
        return await self._run(operations.deliveries_of(job_id))

    async def replay(self, job_id: str, event: str) -> DeliveryShown:
        """Send an event again. Raises Gone if the event is too old."""
        return await self._run(operations.replayed_event(job_id, event))

    async def dead_letters(self, job_id: str, code: str | None = None) -> AsyncIterator[DeadLetterShown]:
        """Yield the frames of the job that have failed so far. With `code`, yield only those with this error code."""
        pages = Pages(f"/v1/jobs/{job_id}/dead-letters", DeadLetterList, code=code)
        while (page := await self._run(pages.following())) is not None:
            for each in page.dead_letters:
                yield each

    async def redrive(self, job_id: str, code: str | None = None) -> AsyncJob:
        """Run the failed items of a finished job again, as a new job, and return that job.

        See `Client.redrive`.
        """
        return AsyncJob.of(self, await self._run(operations.redriven_job(job_id, code)))

    async def redrive_all(self, code: str | None = None) -> RedriveList:
        """Redrive every finished job of the tenant that this key belongs to, newest first.

        See `Client.redrive_all`.
        """
        return await self._run(operations.redriven_jobs(code))

    async def delete(self, job_id: str) -> None:
        """Delete the job with its uploads and results. The key needs the scope `admin`.

        See `Client.delete`.
        """
        await self._run(operations.deleted_job(job_id))

    async def cancel(self, job_id: str) -> AsyncJob:
        """Cancel the job. Frames in progress may still complete.

        See `Client.cancel`.
        """
        return AsyncJob.of(self, await self._run(operations.cancelled_job(job_id)))
