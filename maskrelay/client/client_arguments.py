"""The arguments of the clients' methods, checked and put in the form of the HTTP API."""

import os
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from maskrelay.client.service_address import is_address
from maskrelay.client.submission import Submission, texts
from maskrelay.client.upload_sources import Source, sources_of
from maskrelay.contract.records.job import Lane
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8080"


def service_and_key(url: str | None, api_key: str | None) -> tuple[str, str]:
    """Return the address and the API key, if necessary from the environment. Raises SettingsError."""
    url = url or os.environ.get("MASKRELAY_URL") or DEFAULT_URL
    api_key = api_key or os.environ.get("MASKRELAY_API_KEY")
    if not api_key:
        raise SettingsError("There is no API key. Set MASKRELAY_API_KEY, or pass `api_key`.")
    if not (api_key.isascii() and api_key.isprintable()):
        raise SettingsError("The API key contains a character that no key has. Copy it again.")
    _check_url(url)
    return url, api_key


def _check_url(url: str) -> None:
    """Raise SettingsError if this cannot be the address of a service. A password in it is not quoted."""
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"{url} is not the address of a service. It must begin with http:// or https://.")
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise SettingsError("The address of the service is not a valid URL.") from None
    if address.userinfo:  # it would be sent instead of the key
        raise SettingsError("The address of the service must not contain a user name or a password.")
    if not is_address(address):
        raise SettingsError("The address of the service is not a valid URL.")


def job_options(
    outputs: Output | Sequence[Output] | None, options: dict[str, Any] | None, **others: Any
) -> dict[str, Any]:
    """Return the options of a job by name. Those that are None are left out. Raises OptionInvalid."""
    given = {"outputs": None if outputs is None else texts(outputs, "Output"), **others}
    return {**(options or {}), **{name: value for name, value in given.items() if value is not None}}


def submission_of(
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
) -> Submission:
    """Return the job that `submit` submits. Raises SourceMissing and OptionInvalid."""
    sources, asked = sources_of(files), texts(prompts, "Prompt")
    about = {"url": callback} if callback else None
    wanted = job_options(outputs, options, callback=about, lane=lane, endpoint=endpoint, metadata=metadata)
    headers = {"Idempotency-Key": f'"{idempotency_key or uuid.uuid4().hex}"'}
    if wait_s:
        headers["Prefer"] = f"wait={wait_s}"
    ids = None if custom_ids is None else texts(custom_ids, "custom_id")
    return Submission(sources, asked, wanted, headers, ids, wait_s, on_upload=on_upload or (lambda _count: None))
