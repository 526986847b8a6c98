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
#: How long `wait` keeps trying while the service is unreachable.
_PATIENCE = timedelta(minutes=5)
_LONG_POLL_S, _SHORT_POLL_S = 30, 1
_LEAST_PAUSE = 0.5


class Client:
    """A client of the service at `url`, with one API key.

    Without arguments, the address and the key are read from MASKRELAY_URL and MASKRELAY_API_KEY. `timeout` limits each
    step of one request, not a whole upload. Every method raises the class of `maskrelay.errors` for the error `code`
    that the service returned, ServiceUnreachable if the service cannot be reached, and ServiceAnswerUnknown if the
    response is not one of the service's.
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
        """Submit every file with every prompt as one job, and return the job as it was accepted.

        A file is a path (text or `os.PathLike`), its bytes, a binary file object, a NumPy array of one image (uint8,
        uint16 or bool; [rows, columns], or with 1, 3 or 4 channels), or a Pillow image (as it is shown, its current
        frame). A single file or prompt needs no list. The names of paths are sent relative to the folder that they
        share.

        A generated callback secret is in `callback.secret` of this response only. Repeating the call with the same
        `idempotency_key` returns the first job; without a key, one is generated that covers this call's own retries.
        With `wait_s`, the call returns when the job has ended, or after that many seconds (≤ 50). `options`: any other
        options by name. Small files in small numbers are sent with the request, others are uploaded first. Raises
        SourceMissing for a path that is not a file, and OptionInvalid for an invalid file, prompt or output.
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
        """Yield all jobs of this key's tenant, newest first.

        `unreadable` is called with the id of each job whose stored record the service cannot read.
        """
        for page in pages(self._connection, "/v1/jobs", JobList):
            yield from page.jobs
            for job_id in page.unreadable:
                unreadable(job_id)

    def endpoints(self) -> list[EndpointShown]:
        """Return the flow state of each endpoint that may score this key's jobs."""
        return read_as(EndpointList, self._connection.get("/v1/endpoints")).endpoints

    def wait(
        self, job_id: str, timeout: timedelta | None = None, on_progress: Callable[[JobShown], None] | None = None
    ) -> JobShown:
        """Wait until the job has ended and return it, calling `on_progress` with its state on the way.

        A service that is unreachable for a few minutes is tolerated. Raises WaitTimeout if the job has not ended after
        `timeout`.
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
                raise WaitTimeout(f"job {job_id} is still {job.state}", job=job_id)
            time.sleep(max(0.0, min(asked + _LEAST_PAUSE, deadline or now + 1) - now))

    def items(self, job_id: str) -> Iterator[ItemShown]:
        """Yield the job's items: in order of completion while it runs, in order of submission once it has ended.

        If the job ends while its items are being read, an item may come twice, but none is missed.
        """
        for page in pages(self._connection, f"/v1/jobs/{job_id}/items", ItemList):
            yield from page.items

    def save(self, job_id: str, folder: str | os.PathLike[str]) -> list[SavedFile]:
        """Save all available artifacts in `folder`, which is created, and return the files in order of the items.

        File names are those of the service, made safe, inside the folders of their source. An identical file that
        exists is not fetched again, so a second call resumes an interrupted one. A different file is never overwritten:
        the new file then has the job's id in its name. `manifest.json` gives the source, the content and the measures
        of each file. Raises OSError for failures of the disk.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        items = list(self.items(job_id))
        saving = Folder(folder, job_id, items)
        artifacts = {one.link: one for item in items for one in wanted(item)}
        saved = [saving.save(self._connection, one) for one in artifacts.values()]
        write_manifest(folder, job_id, items, saved)
        return saved

    def deliveries(self, job_id: str) -> list[DeliveryShown]:
        """Return the job's events so far, with the state of the delivery of each."""
        return read_as(DeliveryList, self._connection.get(f"/v1/jobs/{job_id}/deliveries")).deliveries

    def replay(self, job_id: str, event: str) -> DeliveryShown:
        """Send an event again. Raises Gone if it is too old."""
        address = self._connection.address(f"/v1/jobs/{job_id}/deliveries/{event}/replay")
        return read_as(DeliveryShown, self._connection.send(lambda http: http.build_request("POST", address)))

    def dead_letters(self, job_id: str, code: str | None = None) -> Iterator[DeadLetterShown]:
        """Yield the job's failed frames, of one error code or of any; while the job runs, those so far."""
        for page in pages(self._connection, f"/v1/jobs/{job_id}/dead-letters", DeadLetterList, code=code):
            yield from page.dead_letters

    def redrive(self, job_id: str, code: str | None = None) -> JobShown:
        """Process the failed items of a finished job, of one error code or of any, again, and return the new job.

        Repeating the call returns the same job. Raises NotEnded, NothingToRedrive, UploadGone.
        """
        address = self._connection.address(f"/v1/jobs/{job_id}/redrive")
        params = {"code": code} if code else {}
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address, params=params)))

    def redrive_all(self, code: str | None = None) -> RedriveList:
        """Redrive every finished job of this key's tenant, newest first.

        A job that cannot be redriven is listed in `refused` and does not stop the others.
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
        """Cancel the job. Frames in progress may still complete. Raises NotCancellable if it is too late."""
        address = self._connection.address(f"/v1/jobs/{job_id}/cancel")
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address)))
