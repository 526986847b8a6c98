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

from maskrelay.client.connection import Connection
from maskrelay.client.manifest import write_manifest
from maskrelay.client.reading import pages, read_as
from maskrelay.client.saving import Folder, SavedFile, wanted
from maskrelay.client.sources import Source, sources_of
from maskrelay.client.submission import submit, texts
from maskrelay.contract.dead_letters import DeadLetterList, DeadLetterShown, RedriveList
from maskrelay.contract.deliveries import DeliveryList, DeliveryShown
from maskrelay.contract.endpoints import EndpointList, EndpointShown
from maskrelay.contract.jobs import TERMINAL, Lane
from maskrelay.contract.outputs import Output
from maskrelay.contract.shown import ItemList, ItemShown, JobList, JobShown
from maskrelay.errors import SettingsError, WaitTimeout

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = timedelta(seconds=60)
#: How long `wait` keeps asking a service that is away.
_PATIENCE = timedelta(minutes=5)
_LONG_POLL_S, _SHORT_POLL_S = 30, 1
_LEAST_PAUSE = 0.5


class Client:
    """One caller of the service at `url`.

    Without arguments the address and the key are those of MASKRELAY_URL and MASKRELAY_API_KEY. `timeout` bounds each
    step of one request, not a whole upload. Every method raises the class of `maskrelay.errors` whose `code` the
    service answered, ServiceUnreachable when it cannot be reached, ServiceAnswerUnknown when it answers something else.
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
        """Close the connections."""
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
        """Submit every file with every prompt as one job; the job as it was accepted.

        A file is a path (text or `os.PathLike`), its bytes, a binary file object, a NumPy array of one picture (uint8,
        uint16 or bool; [rows, columns] or with 1, 3 or 4 channels), or a Pillow image (as it is shown, its current
        frame). One file or one prompt need no list. The names of paths go along below the folder they share.

        A generated callback secret is in `callback.secret` of this answer alone. Repeating the call with the same
        `idempotency_key` finds the first job; without one, a key is made that covers this call's own retries. `wait_s`
        lets the answer come when the job ends, at most so many seconds (≤ 50) later. `options`: any others by name.
        Few small files go with the request, others are uploaded first. Raises SourceMissing for a path that is no file,
        OptionInvalid for what cannot be a file, a prompt or an output.
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
        """The job as it is now."""
        return read_as(JobShown, self._connection.get(f"/v1/jobs/{job_id}"))

    def jobs(self, *, unreadable: Callable[[str], None] = lambda _id: None) -> Iterator[JobShown]:
        """Every job of this key's tenant, the newest first.

        `unreadable` is called with the id of each job whose stored record the service cannot read.
        """
        for page in pages(self._connection, "/v1/jobs", JobList):
            yield from page.jobs
            for job_id in page.unreadable:
                unreadable(job_id)

    def endpoints(self) -> list[EndpointShown]:
        """The flow of each endpoint that this key's jobs may be scored at."""
        return read_as(EndpointList, self._connection.get("/v1/endpoints")).endpoints

    def wait(
        self, job_id: str, timeout: timedelta | None = None, on_progress: Callable[[JobShown], None] | None = None
    ) -> JobShown:
        """The job once it has ended, after telling `on_progress` about it on the way.

        Outlives a service that is away for some minutes. Raises WaitTimeout when the job has not ended after `timeout`.
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
        """The job's items: in order of completion while it runs, in order of submission after.

        An item comes twice when the job ends while its list is being read, never not at all.
        """
        for page in pages(self._connection, f"/v1/jobs/{job_id}/items", ItemList):
            yield from page.items

    def save(self, job_id: str, folder: str | os.PathLike[str]) -> list[SavedFile]:
        """Save every artifact there is into `folder`, which is made; the files in order of the items.

        Names are those the service gives, made safe, below the folders of their source. A file that is already there,
        equal, is not fetched again, so that a second call goes on where the first was interrupted; one that differs is
        never overwritten: ours then has the job's id in its name. `manifest.json` says which file shows what of which
        source, with its measures. Raises OSError where the disk does.
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
        """The job's events so far, and how each stands on its way to the callback."""
        return read_as(DeliveryList, self._connection.get(f"/v1/jobs/{job_id}/deliveries")).deliveries

    def replay(self, job_id: str, event: str) -> DeliveryShown:
        """Have an event sent again. Raises Gone for one that is too old."""
        address = self._connection.address(f"/v1/jobs/{job_id}/deliveries/{event}/replay")
        return read_as(DeliveryShown, self._connection.send(lambda http: http.build_request("POST", address)))

    def dead_letters(self, job_id: str, code: str | None = None) -> Iterator[DeadLetterShown]:
        """The job's frames that ended in an error, in this one or in any; while it runs, those so far."""
        for page in pages(self._connection, f"/v1/jobs/{job_id}/dead-letters", DeadLetterList, code=code):
            yield from page.dead_letters

    def redrive(self, job_id: str, code: str | None = None) -> JobShown:
        """The new job in which a finished job's items that failed, by this error or any, are done again.

        A repeat finds the same one. Raises NotEnded, NothingToRedrive, UploadGone.
        """
        address = self._connection.address(f"/v1/jobs/{job_id}/redrive")
        params = {"code": code} if code else {}
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address, params=params)))

    def redrive_all(self, code: str | None = None) -> RedriveList:
        """The same for every finished job of this key's tenant, the newest first.

        A job that cannot be done again is named in `refused` and does not stop the others.
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
        """Ask for the job's end; what is under way may still settle. Raises NotCancellable when it is too late."""
        address = self._connection.address(f"/v1/jobs/{job_id}/cancel")
        return read_as(JobShown, self._connection.send(lambda http: http.build_request("POST", address)))
