"""The Python client of the service: submit, wait, read the items, save the artifacts, cancel."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from maskrelay.client import job_operations as operations
from maskrelay.client.client_arguments import job_options, service_and_key, submission_of
from maskrelay.client.download import SavedFile, SaveRecord
from maskrelay.client.exchange import Operation
from maskrelay.client.job_handles import Item, Job
from maskrelay.client.mapped_items import MappedItems
from maskrelay.client.responses import Pages
from maskrelay.client.run_operations import submitted_run
from maskrelay.client.service_connection import Connection
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


class Client:
    """A client of the service at `url`, with one API key.

    Without arguments, the address and the key are read from MASKRELAY_URL and MASKRELAY_API_KEY. `timeout` limits each
    step of a request, not a whole upload.

    If the service returns an error, every method raises the class of `maskrelay.errors` that has the error's `code`. It
    raises ServiceUnreachable if the service cannot be reached, and ServiceAnswerUnknown if the response does not come
    from maskrelay or cannot be understood.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout: timedelta = _TIMEOUT) -> None:
        url, api_key = service_and_key(url, api_key)
        self._connection = Connection(url, api_key, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _run(self, operation: Operation[_T]) -> _T:
        return self._connection.run(operation)

    def _read(self, link: str) -> bytes:
        return self._run(operations.artifact_bytes(link))

    def submit(
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
    ) -> Job:
        """Submit every file with every prompt as one job, and return the accepted job.

        A file is one of these:

        - a path (text or `os.PathLike`)
        - the bytes of a file, or a binary file object
        - a NumPy array of one image: uint8, uint16 or bool, of shape [rows, columns] or [rows, columns, 1, 3 or 4]
        - a Pillow image, of which the current frame is sent as Pillow shows it

        A single file or prompt needs no list. The names of the files are their paths, without the folder that all paths
        have in common.

        If the service generates a callback secret, only this response contains it, in `callback.secret`. If you repeat
        the call with the same `idempotency_key`, it returns the first job. If you pass no key, a new one is generated,
        so only retries within this call return the same job. With `wait_s`, the call returns when the job has ended, or
        after that many seconds (at most 50). `options` contains any other options by name.

        Without `custom_ids`, a few small files are sent within the request. In all other cases, the files are uploaded
        first, and `on_upload` is called with the number of files that have been uploaded. Raises SourceMissing for a
        path that is not a file, and OptionInvalid for an invalid file, prompt or output.
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
        return Job.of(self, self._run(submit(submission)))

    def map(
        self,
        files: Iterable[Source],
        prompts: str | Sequence[str],
        *,
        outputs: Output | Sequence[Output] | None = None,
        options: dict[str, Any] | None = None,
        batch: int = 20,
        jobs: int = 4,
    ) -> Iterator[Item]:
        """Submit any number of files as jobs with `batch` files each, and yield their items in order.

        At most `jobs` jobs run at the same time, and `files` is read no faster than that needs. If the program is
        interrupted, the same call finds the jobs of the first call, so nothing is scored twice. Use `submit` for the
        files of one DICOM series, which must be in the same job.
        """
        mapped = MappedItems(files, texts(prompts, "Prompt"), job_options(outputs, options), batch, jobs)
        while (items := self._run(mapped.following())) is not None:
            yield from (Item.of(self._read, item) for item in items)

    def run(
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
    ) -> Job:
        """Submit the objects of a listing, or the rows of a manifest, as one job, and return the accepted job.

        `source` is a pattern such as `s3://bucket/ct/**/*.dcm`, a DICOMweb URL, or the URL of a manifest, which ends
        with `.ndjson`, `.jsonl`, `.csv` or `.parquet`. `manifest_format` says that it is a manifest although it ends
        otherwise. The rows of a manifest can have prompts of their own. The other arguments are those of `submit`.

        The service reads the source when the job is planned. Raises SourceInvalid, SourceNotAllowed and
        CredentialUnknown.
        """
        wanted = job_options(outputs, options)
        operation = submitted_run(source, prompts, credential, manifest_format, wanted, idempotency_key, wait_s)
        return Job.of(self, self._run(operation))

    def job(self, job_id: str) -> Job:
        """Return the job in its current state."""
        return Job.of(self, self._run(operations.job_shown(job_id)))

    def jobs(self, *, unreadable: Callable[[str], None] = lambda _id: None) -> Iterator[Job]:
        """Yield all jobs of the tenant that this key belongs to, newest first.

        `unreadable` is called with the id of each job whose stored record the service cannot read.
        """
        pages = Pages("/v1/jobs", JobList)
        while (page := self._run(pages.following())) is not None:
            yield from (Job.of(self, job) for job in page.jobs)
            for job_id in page.unreadable:
                unreadable(job_id)

    def watch(
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

        Arguments that are None have the default of the service. Raises SourceNotAllowed if the key may not read the
        prefix, and CredentialUnknown.
        """
        more: dict[str, Any] = {"credential": credential, "pattern": pattern, "options": options}
        more |= {"settle_s": settle_s, "expected": expected, "period_s": period_s, "changes": changes}
        return self._run(added_watch(source, texts(prompts, "Prompt"), more))

    def watches(self) -> list[WatchShown]:
        """Return the watches of the tenant."""
        return self._run(watches_shown())

    def unwatch(self, watch_id: str) -> None:
        """End a watch. The jobs that it has submitted continue."""
        self._run(removed_watch(watch_id))

    def endpoints(self) -> list[EndpointShown]:
        """Return the limits, load and recent errors of each endpoint that may score this key's jobs."""
        return self._run(operations.endpoints_shown())

    def prompts(self, modality: str | None = None, site: str | None = None) -> list[TargetShown]:
        """Return the targets on which the model was trained, each with a prompt.

        `modality` and `site` choose among them. An unknown modality or site gives an empty list.
        """
        return self._run(operations.trained_prompts(modality, site))

    def wait(
        self, job_id: str, timeout: timedelta | None = None, on_progress: Callable[[JobShown], None] | None = None
    ) -> Job:
        """Wait until the job has ended, and return it. `on_progress` is called with the job about once per second.

        If the service cannot be reached, the call tries again for up to five minutes. Raises WaitTimeout if the job has
        not ended after `timeout`.
        """
        return Job.of(self, self._run(operations.ended_job(job_id, timeout, on_progress)))

    def items(self, job_id: str, *, as_completed: bool = False) -> Iterator[Item]:
        """Yield the job's items.

        While the job runs, the items come in order of completion. After it has ended, they come in order of submission.
        If the job ends while you read its items, an item may come twice, but none is missed.

        With `as_completed`, each item comes once, as soon as it has ended, until the job has ended.
        """
        pages = operations.CompletedItems(job_id) if as_completed else operations.ItemPages(job_id)
        while (items := self._run(pages.following())) is not None:
            yield from (Item.of(self._read, item) for item in items)

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """Yield the events of the job, as the service sends them, until the job has ended.

        A lost connection is opened again for up to five minutes, and continues after the last event.
        """
        events = JobEvents(job_id)
        while not events.ended:
            error: MaskrelayError | httpx.HTTPError | None = None
            try:
                with self._connection.streamed(events.exchange()) as pieces:
                    for piece in pieces:
                        yield from events.feed(piece)
            except (MaskrelayError, httpx.HTTPError) as trouble:
                error = trouble
            if not events.ended:
                time.sleep(events.pause(error))

    def save(
        self, job_id: str, folder: str | os.PathLike[str], *, items: Sequence[ItemShown] | None = None
    ) -> list[SavedFile]:
        """Save all available artifacts in `folder`, which is created, and return the saved files in order of the items.

        The files have the names that the service gives them, with unsafe characters replaced. They are in the same
        subfolders as their sources. If an identical file already exists, it is not fetched again, so a second call
        completes an interrupted one. If a different file has the name of an artifact, that file is not overwritten,
        and the artifact gets a name that contains the job's id. `manifest.json` describes each file. `items` are all
        items of the job, if you have them. Otherwise, they are requested. Raises OSError if a file cannot be written.
        """
        return self._run(operations.saved_files(job_id, folder, SaveRecord(), items))

    def deliveries(self, job_id: str) -> list[DeliveryShown]:
        """Return the job's events so far, and the state of the delivery of each."""
        return self._run(operations.deliveries_of(job_id))

    def replay(self, job_id: str, event: str) -> DeliveryShown:
        """Send an event again. Raises Gone if the event is too old."""
        return self._run(operations.replayed_event(job_id, event))

    def dead_letters(self, job_id: str, code: str | None = None) -> Iterator[DeadLetterShown]:
        """Yield the frames of the job that have failed so far. With `code`, yield only those with this error code."""
        pages = Pages(f"/v1/jobs/{job_id}/dead-letters", DeadLetterList, code=code)
        while (page := self._run(pages.following())) is not None:
            yield from page.dead_letters

    def redrive(self, job_id: str, code: str | None = None) -> Job:
        """Run the failed items of a finished job again, as a new job, and return that job.

        With `code`, only the items with this error code are run again. Repeating the call returns the same new job.
        Raises NotEnded, NothingToRedrive or UploadGone.
        """
        return Job.of(self, self._run(operations.redriven_job(job_id, code)))

    def redrive_all(self, code: str | None = None) -> RedriveList:
        """Redrive every finished job of the tenant that this key belongs to, newest first.

        A job that cannot be redriven is listed in `refused`, and the other jobs are redriven nevertheless.
        """
        return self._run(operations.redriven_jobs(code))

    def delete(self, job_id: str) -> None:
        """Delete the job with its uploads and results. The key needs the scope `admin`.

        The files that you have saved stay.
        """
        self._run(operations.deleted_job(job_id))

    def cancel(self, job_id: str) -> Job:
        """Cancel the job. Frames in progress may still complete.

        Raises NotCancellable if the job is finishing or has ended.
        """
        return Job.of(self, self._run(operations.cancelled_job(job_id)))
