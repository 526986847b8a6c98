"""Runs that a test submits line by line."""

import json
from collections.abc import Iterable
from typing import Any

import httpx

PROMPT = "optic disc in retinal fundus"


def uploaded(client: httpx.Client, *files: bytes) -> list[str]:
    """Upload files and return their ids."""
    answer = client.post("/v1/uploads", files=[("image", (f"eye {n}.png", file)) for n, file in enumerate(files)])
    assert answer.status_code == 201, answer.text
    return [upload["id"] for upload in answer.json()["uploads"]]


def body_of(lines: Iterable[Any]) -> bytes:
    """Return the lines as NDJSON. A line that is bytes is taken as it is."""
    return b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)


def submit_run(client: httpx.Client, *lines: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """Submit a run with these lines."""
    sent = {"Content-Type": "application/x-ndjson", **(headers or {})}
    return client.post("/v1/jobs", content=body_of(lines), headers=sent)


def accepted_run(client: httpx.Client, *lines: Any) -> str:
    """Submit a run and return its id."""
    answer = submit_run(client, *lines)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
