"""How files become a job: with the submission when few and small, uploaded one by one before it otherwise."""

import json
from collections.abc import Sequence
from typing import Any

import httpx

from maskrelay.client.connection import Connection
from maskrelay.client.reading import read_as
from maskrelay.client.sources import Source, check, parts, together
from maskrelay.contract.shown import JobShown, UploadList
from maskrelay.errors import OptionInvalid


def submit(
    connection: Connection,
    files: Sequence[Source],
    prompts: Sequence[str],
    options: dict[str, Any],
    headers: dict[str, str],
    *,
    custom_ids: Sequence[str] | None,
    wait_s: int,
) -> JobShown:
    """Submit one job; `headers` carry the idempotency key that makes a repeat harmless."""
    check(files)
    if custom_ids is not None and len(custom_ids) != len(files):
        raise OptionInvalid(f"{len(custom_ids)} custom_ids for {len(files)} files")
    timeout = connection.timeout + wait_s
    if custom_ids is None and together(files):
        form = {"prompt": list(prompts), "options": json.dumps(options)}
        return read_as(JobShown, _post_files(connection, "/v1/jobs", files, headers, form, timeout))
    items = [{"upload": _upload(connection, source, number)} for number, source in enumerate(files)]
    for item, custom_id in zip(items, custom_ids or (), strict=False):
        item["custom_id"] = custom_id
    body = {"items": items, "prompts": list(prompts), "options": options}
    address = connection.address("/v1/jobs")

    def ask(http: httpx.Client) -> httpx.Request:
        return http.build_request("POST", address, json=body, headers=headers, timeout=timeout)

    return read_as(JobShown, connection.send(ask))


def _upload(connection: Connection, source: Source, number: int) -> str:
    """Upload one file; its id."""
    answer = _post_files(connection, "/v1/uploads", [source], {}, {}, connection.timeout, first=number)
    return read_as(UploadList, answer).uploads[0].id


def _post_files(
    connection: Connection,
    path: str,
    files: Sequence[Source],
    headers: dict[str, str],
    form: dict[str, Any],
    timeout: float,
    first: int = 0,
) -> Any:
    with parts(files, first) as made:

        def ask(http: httpx.Client) -> httpx.Request:
            address = connection.address(path)
            return http.build_request("POST", address, files=made, data=form, headers=headers, timeout=timeout)

        return connection.send(ask)
