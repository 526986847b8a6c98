"""The submission of files as a job.

A few small files without custom ids are part of the request. In all other cases, the files are uploaded first, several
at a time.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from maskrelay.client.exchange import Concurrently, Exchange, Operation
from maskrelay.client.responses import read_as
from maskrelay.client.service_calls import call
from maskrelay.client.upload_sources import NamedSource, batches, together
from maskrelay.contract.views.job_views import SubmittedJob, UploadList
from maskrelay.errors import BodyTooLarge, OptionInvalid, ServiceAnswerUnknown

#: The number of requests with uploads that are sent at the same time.
_AT_ONCE = 4


class UploadRecord:
    """What earlier calls have uploaded. This one remembers nothing: every file is uploaded."""

    def upload_of(self, _source: NamedSource) -> str | None:
        """Return the id of the upload of a file, if it is still usable."""
        return None

    def uploaded(self, sources: Sequence[NamedSource], uploads: Sequence[str]) -> None:
        """Remember the uploads of these files."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to submit. `headers` contains the idempotency key, so that a retry does not create a second job."""

    files: Sequence[NamedSource]
    prompts: Sequence[str]
    options: dict[str, Any]
    headers: dict[str, str]
    custom_ids: Sequence[str] | None = None
    wait_s: int = 0
    record: UploadRecord = field(default_factory=UploadRecord)
    #: Called with the number of files that have been uploaded so far.
    on_upload: Callable[[int], None] = lambda _count: None


def submit(submission: Submission) -> Operation[SubmittedJob]:
    """Submit one job, and return it. Raises OptionInvalid for a wrong number of custom ids."""
    files, custom_ids = submission.files, submission.custom_ids
    if custom_ids is not None and len(custom_ids) != len(files):
        raise OptionInvalid(f"{len(custom_ids)} custom_ids for {len(files)} files")
    common: dict[str, Any] = {"headers": submission.headers, "wait_s": submission.wait_s}
    if custom_ids is None and together(files):
        form = {"prompt": list(submission.prompts), "options": json.dumps(submission.options)}
        return read_as(SubmittedJob, (yield from call(Exchange("POST", "/v1/jobs", form=form, files=files, **common))))
    uploads = yield from _uploads_of(submission)
    items = [{"upload": upload} for upload in uploads]
    for item, custom_id in zip(items, custom_ids or (), strict=False):
        item["custom_id"] = custom_id
    body = {"items": items, "prompts": list(submission.prompts), "options": submission.options}
    return read_as(SubmittedJob, (yield from call(Exchange("POST", "/v1/jobs", json=body, **common))))


def key_of(
    files: Sequence[NamedSource],
    prompts: Sequence[str],
    options: dict[str, Any],
    sha256: Callable[[NamedSource], str] | None = None,
) -> str:
    """Return an idempotency key that is the same for the same files, names, prompts and options.

    `sha256` returns the hash of a file, if the caller knows it already.
    """
    content = [[source.name, (sha256 or NamedSource.sha256)(source)] for source in files]
    canonical = json.dumps([content, list(prompts), options], sort_keys=True, ensure_ascii=False, default=str)
    return f"content-{hashlib.sha256(canonical.encode(errors='surrogatepass')).hexdigest()}"


def texts(given: str | Sequence[str], what: str) -> list[str]:
    """Return a text, or several texts, as a list. A string is one text, not a sequence of letters.

    Raises OptionInvalid, with a message that calls the value `what`, for anything that is not text.
    """
    several = [given] if isinstance(given, str) else list(given)
    for number, text in enumerate(several):
        if not isinstance(text, str):
            raise OptionInvalid(f"{what} {number} is of type {type(text).__name__}, not text.")
    return several


def _uploads_of(submission: Submission) -> Operation[list[str]]:
    """Upload the files that have not been uploaded before, and return the ids of all uploads in order of the files."""
    uploads = [submission.record.upload_of(source) for source in submission.files]
    missing = [number for number, upload in enumerate(uploads) if upload is None]
    batched = list(batches(submission.files[number] for number in missing))
    first = [0, *itertools.accumulate(map(len, batched))]
    done = len(uploads) - len(missing)

    def uploaded(batch: int, ids: list[str]) -> None:
        nonlocal done
        for number, upload in zip(missing[first[batch] : first[batch + 1]], ids, strict=True):
            uploads[number] = upload
        submission.record.uploaded(batched[batch], ids)
        done += len(ids)
        submission.on_upload(done)

    submission.on_upload(done)
    yield Concurrently([_uploads(batch) for batch in batched], _AT_ONCE, uploaded)
    return [upload or "" for upload in uploads]


def _uploads(batch: Sequence[NamedSource]) -> Operation[list[str]]:
    """Upload files and return their ids in order.

    If the service finds the request too large, each file is sent in its own request. Raises ServiceAnswerUnknown if the
    service does not return an upload for each file.
    """
    try:
        answer = yield from call(Exchange("POST", "/v1/uploads", files=batch))
    except BodyTooLarge:
        if len(batch) == 1:
            raise
        uploads = []
        for source in batch:
            uploads += yield from _uploads([source])
        return uploads
    uploads = [upload.id for upload in read_as(UploadList, answer).uploads]
    if len(uploads) != len(batch):
        raise ServiceAnswerUnknown(f"the service named {len(uploads)} uploads for {len(batch)} files")
    return uploads
