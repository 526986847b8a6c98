"""The submission of runs, whose items are in a manifest or are the objects of a listing. Nothing is uploaded."""

import re
import uuid
from collections.abc import Sequence
from typing import Any

from maskrelay.client.exchange import Exchange, Operation
from maskrelay.client.responses import read_as
from maskrelay.client.service_calls import call
from maskrelay.client.submission import texts
from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.contract.views.job_views import JobShown

#: The names of files that are manifests, not images. A pattern with such an ending is a listing.
_MANIFEST = re.compile(r"[^*?]*\.(ndjson|jsonl|csv|parquet)", re.IGNORECASE)


def is_manifest(source: str) -> bool:
    """Return whether this URL is that of a manifest, judged by its ending."""
    return _MANIFEST.fullmatch(source) is not None


def submitted_run(
    source: str,
    prompts: str | Sequence[str],
    credential: str | None,
    manifest_format: ManifestFormat | None,
    options: dict[str, Any],
    idempotency_key: str | None,
    wait_s: int,
) -> Operation[JobShown]:
    """Submit a run, and return its job. Raises OptionInvalid for a prompt that is not text."""
    where = {"source": source, "credential": credential, "format": manifest_format}
    member = "manifest" if manifest_format or is_manifest(source) else "listing"
    body: dict[str, Any] = {member: {name: value for name, value in where.items() if value is not None}}
    if asked := texts(prompts, "Prompt"):
        body["prompts"] = asked
    if options:
        body["options"] = options
    headers = {"Idempotency-Key": f'"{idempotency_key or uuid.uuid4().hex}"'}
    if wait_s:
        headers["Prefer"] = f"wait={wait_s}"
    exchange = Exchange("POST", "/v1/jobs", json=body, headers=headers, wait_s=wait_s)
    return read_as(JobShown, (yield from call(exchange)))
