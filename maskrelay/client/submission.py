"""The submission of files as a job.

A few small files without custom ids are part of the request. In all other cases, the files are uploaded first.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import httpx

from maskrelay.client.responses import read_as
from maskrelay.client.service_connection import Connection
from maskrelay.client.upload_sources import NamedSource, batches, parts, together
from maskrelay.contract.views.job_views import JobShown, UploadList
from maskrelay.errors import BodyTooLarge, OptionInvalid, ServiceAnswerUnknown


def submit(
    connection: Connection,
    files: Sequence[NamedSource],
    prompts: Sequence[str],
    options: dict[str, Any],
    headers: dict[str, str],
    *,
    custom_ids: Sequence[str] | None,
    wait_s: int,
) -> JobShown:
    """Submit one job. `headers` contains the idempotency key, so that a retry does not create a second job."""
    if custom_ids is not None and len(custom_ids) != len(files):
        raise OptionInvalid(f"{len(custom_ids)} custom_ids for {len(files)} files")
    timeout = connection.timeout + wait_s
    if custom_ids is None and together(files):
        form = {"prompt": list(prompts), "options": json.dumps(options)}
        return read_as(JobShown, _post_files(connection, "/v1/jobs", files, headers, form, timeout))
    items = [{"upload": upload} for batch in batches(files) for upload in _uploads(connection, batch)]
    for item, custom_id in zip(items, custom_ids or (), strict=False):
        item["custom_id"] = custom_id
    body = {"items": items, "prompts": list(prompts), "options": options}
    address = connection.address("/v1/jobs")

    def ask(http: httpx.Client) -> httpx.Request:
        return http.build_request("POST", address, json=body, headers=headers, timeout=timeout)

    return read_as(JobShown, connection.send(ask))


def key_of(files: Sequence[NamedSource], prompts: Sequence[str], options: dict[str, Any]) -> str:
    """Return an idempotency key that is the same for the same files, names, prompts and options."""
    content = [[source.name, source.sha256()] for source in files]
    canonical = json.dumps([content, list(prompts), options], sort_keys=True, ensure_ascii=False, default=str)
    return f"content-{hashlib.sha256(canonical.encode()).hexdigest()}"


def texts(given: str | Sequence[str], what: str) -> list[str]:
    """Return a text, or several texts, as a list. A string is one text, not a sequence of letters.

    Raises OptionInvalid, with a message that calls the value `what`, for anything that is not text.
    """
    several = [given] if isinstance(given, str) else list(given)
    for number, text in enumerate(several):
        if not isinstance(text, str):
            raise OptionInvalid(f"{what} {number} is of type {type(text).__name__}, not text.")
    return several


def _uploads(connection: Connection, batch: Sequence[NamedSource]) -> list[str]:
    """Upload files and return their ids in order.

    If the service finds the request too large, each file is sent in its own request. Raises ServiceAnswerUnknown if the
    service does not return an upload for each file.
    """
    try:
        answer = _post_files(connection, "/v1/uploads", batch, {}, {}, connection.timeout)
    except BodyTooLarge:
        if len(batch) == 1:
            raise
        return [upload for source in batch for upload in _uploads(connection, [source])]
    uploads = read_as(UploadList, answer).uploads
    if len(uploads) != len(batch):
        raise ServiceAnswerUnknown(f"the service named {len(uploads)} uploads for {len(batch)} files")
    return [upload.id for upload in uploads]


def _post_files(
    connection: Connection,
    path: str,
    files: Sequence[NamedSource],
    headers: dict[str, str],
    form: dict[str, Any],
    timeout: float,
) -> Any:
    with parts(files) as made:

        def ask(http: httpx.Client) -> httpx.Request:
            address = connection.address(path)
            return http.build_request("POST", address, files=made, data=form, headers=headers, timeout=timeout)

        return connection.send(ask)
