"""The Python client of the service: submit, wait, read the items, save the artifacts, cancel."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from maskrelay.client.download import Folder, SavedFile, wanted
from maskrelay.client.manifest import write_manifest
from maskrelay.client.responses import pages, read_as
from maskrelay.client.service_connection import Connection
from maskrelay.client.submission import submit, texts
from maskrelay.client.upload_sources import Source, sources_of
from maskrelay.contract.records.job import TERMINAL, Lane
from maskrelay.contract.views.dead_letter_views import DeadLetterList, DeadLetterShown, RedriveList
from maskrelay.contract.views.delivery_views import DeliveryList, DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointList, EndpointShown
from maskrelay.contract.views.job_views import (
    ItemList,
    ItemShown,
    JobList,
    JobShown,
)
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import SettingsError, WaitTimeout

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = timedelta(seconds=60)
#: The time for which `wait` keeps trying to reach the service during an outage.
_PATIENCE = timedelta(minutes=5)
_LONG_POLL_S, _SHORT_POLL_S = 30, 1
_LEAST_PAUSE = 0.5


class Client:
    """A client of the service at `url`, with one API key.

    Without arguments, the address and the key are read from MASKRELAY_URL and MASKRELAY_API_KEY. `timeout` limits each
    step of a request, not a whole upload.

    If the service returns an error, every method raises the class of `maskrelay.errors` that has the error's `code`. It
    raises ServiceUnreachable if the service cannot be reached, and ServiceAnswerUnknown if the response does not come
    from maskrelay or cannot be understood.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout: timedelta = _TIMEOUT) -> None:
        url = url or os.environ.get("MASKRELAY_URL") or DEFAULT_URL
        api_key = api_key or os.environ.get("MASKRELAY_API_KEY")
        if not api_key:
            raise SettingsError("There is no API key. Set MASKRELAY_API_KEY, or pass `api_key`.")
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"{url} is not the address of a service. It must begin with http:// or https://.")
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
    ) -> JobShown:
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
        first. Raises SourceMissing for a path that is not a file, and OptionInvalid for an invalid file, prompt or
        output.
        """
        sources, asked = sources_of(files), texts(prompts, "Prompt")
        about = {"url": callback} if callback else None
        wanted_outputs = None if outputs is None else texts(outputs, "Output")
        given: dict[str, Any] = {"outputs": wanted_outputs, "callback": about, "lane": lane, "endpoint": endpoint}
        given["metadata"] = metadata
        options = {**(options or {}), **{name: value for name, value in given.items() if value is not None}}
        headers = {"Idempotency-Key": f'"{idempotency_key or uuid.uuid4().hex}"'}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        ids = None if custom_ids is None else texts(custom_ids, "custom_id")
        return submit(self._connection, sources, asked, options, headers, custom_ids=ids, wait_s=wait_s)

    def job(self, job_id: str) -> JobShown:
        """Return the job in its current state."""
        return read_as(JobShown, self._connection.get(f"/v1/jobs/{job_id}"))

    def jobs(self, *, unreadable: Callable[[str], None] = lambda _id: None) -> Iterator[JobShown]:
        """Yield all jobs of the tenant that this key belongs to, newest first.

        `unreadable` is called with the id of each job whose stored record the service cannot read.
        """
        for page in pages(self._connection, "/v1/jobs", JobList):
            yield from page.jobs
            for job_id in page.unreadable:
                unreadable(job_id)

    def endpoints(self) -> list[EndpointShown]:
        """Return the limits, load and recent errors of each endpoint that may score this key's jobs."""
        return read_as(EndpointList, self._connection.get("/v1/endpoints")).endpoints

    def wait(
        self, job_id: str, timeout: timedelta | None = None, on_progress: Callable[[JobShown], None] | None = None
    ) -> JobShown:
        """Wait until the job has ended, and return it. `on_progress` is called with the job about once per second.

        If the service cannot be reached, the call tries again for up to five minutes. Raises WaitTimeout if the job has
        not ended after `timeout`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
        poll = _LONG_POLL_S if on_progress is None else _SHORT_POLL_S
        while True:
            asked = time.monotonic()
            left = poll if deadline is None else max(0, min(poll, round(deadline - asked)))
            job = read_as(JobShown, self._connection.get(f"/v1/jobs/{job_id}", patience=_PATIENCE, wait_s=left))
            if on_progress is not None:
                on_progress(job)
            if job.state in TERMINAL:
                return job
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise WaitTimeout(f"job {job_id} is still {job.state}")
            time.sleep(max(0.0, min(asked + _LEAST_PAUSE, deadline or now + 1) - now))

    def items(self, job_id: str) -> Iterator[ItemShown]:
        """Yield the job's items.

        While the job runs, the items come in order of completion. After it has ended, they come in order of submission.
        If the job ends while you read its items, an item may come twice, but none is missed.
        """
        for page in pages(self._connection, f"/v1/jobs/{job_id}/items", ItemList):
            yield from page.items

    def save(self, job_id: str, folder: str | os.PathLike[str]) -> list[SavedFile]:
        """Save all available artifacts in `folder`, which is created, and return the saved files in order of the items.

        The files have the names that the service gives them, with unsafe characters replaced. They are in the same
        subfolders as their sources. If an identical file already exists, it is not fetched again, so a second call
        completes an interrupted one. If a different file has the name of an artifact, that file is not overwritten,
        and the artifact gets a name that contains the job's id. `manifest.json` describes each file. Raises OSError if
        a file cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        items = list(self.items(job_id))
        saving = Folder(folder, job_id, items)
        artifacts = {artifact.link: artifact for item in items for artifact in wanted(item)}
        saved = [saving.save(self._connection, artifact) for artifact in artifacts.values()]
        write_manifest(folder, job_id, items, saved)
        return saved

    def deliveries(self, job_id: str) -> list[DeliveryShown]:
        """Return the job's events so far, and the state of the delivery of each."""
        return read_as(DeliveryList, self._connection.get(f"/v1/jobs/{job_id}/deliveries")).deliveries

    def replay(self, job_id: str, event: str) -> DeliveryShown:
        """Send an event again. Raises Gone if the event is too old."""
        address = self._connection.address(f"/v1/jobs/{job_id}/deliveries/{event}/replay")
        return read_as(DeliveryShown, self._connection.send(lambda http: http.build_request("POST", address)))

    def dead_letters(self, job_id: str, code: str | None = None) -> Iterator[DeadLetterShown]:
        """Yield the frames of the job that have failed so far. With `code`, yield only those with this error code."""
        for page in pages(self._connection, f"/v1/jobs/{job_id}/dead-letters", DeadLetterList, code=code):
            yield from page.dead_letters

    def redrive(self, job_id: str, code: str | None = None) -> JobShown:
        """Run the failed items of a finished job again, as a new job, and return that job.

        With `code`, only the items with this error code are run again. Repeating the call returns the same new job.
        Raises NotEnded, NothingToRedrive or UploadGone.
        """
        address = self._connection.address(f"/v1/jobs/{job_id}/redrive")
        params = {"code": code} if code else {}
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address, params=params)))

    def redrive_all(self, code: str | None = None) -> RedriveList:
        """Redrive every finished job of the tenant that this key belongs to, newest first.

        A job that cannot be redriven is listed in `refused`, and the other jobs are redriven nevertheless.
        """
        address, cursor = self._connection.address("/v1/redrive"), None
        done = RedriveList(jobs=[], refused=[])
        while True:
            params = {name: value for name, value in (("code", code), ("cursor", cursor)) if value}
            ask = partial(httpx.Client.build_request, method="POST", url=address, params=params)
            page = read_as(RedriveList, self._connection.send(ask))
            done.jobs += page.jobs
            done.refused += page.refused
            cursor = page.next
            if cursor is None:
                return done

    def cancel(self, job_id: str) -> JobShown:
        """Cancel the job. Frames in progress may still complete.

        Raises NotCancellable if the job is finishing or has ended.
        """
        address = self._connection.address(f"/v1/jobs/{job_id}/cancel")
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address)))
