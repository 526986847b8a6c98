"""Check each endpoint: its settings, its response to one test image, and its clock."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from urllib.parse import urlsplit

import httpx

from maskrelay.admin.checks.finding import Finding, clock, ok, skip, warn, wrong
from maskrelay.endpoints import Endpoint, read_endpoints
from maskrelay.errors import SettingsError
from maskrelay.network.http_clients import client_options
from maskrelay.scoring.url_checks import LOOPBACK, proxy_of
from maskrelay.settings import Settings

#: The sizes, in bytes of base64, of a response for one prompt and of a canvas that does not compress.
_ANSWER, _NOISE = 1024 * 1024 * 4 // 3, 1024 * 1024 * 3 * 4 // 3


def check(settings: Settings) -> Iterator[Finding]:
    """Check every configured endpoint. It is not an error if there is none, because not every process scores."""
    if settings.endpoint_url is None and settings.endpoints_file is None:
        yield skip("endpoint", "not set; only segment workers need an endpoint")
        return
    try:
        endpoints = read_endpoints(settings)
    except SettingsError as error:
        yield wrong("endpoint", error.detail, "docs/howto/endpoints.md shows the forms")
        return
    for endpoint in endpoints:
        name = f"endpoint {endpoint.name}"
        yield from _settings(name, endpoint, settings)
        yield from _scores(name, endpoint, settings)
        yield _clock(f"{name} clock", endpoint)


def _settings(name: str, endpoint: Endpoint, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each implausible setting of the endpoint, or one finding if all are plausible."""
    found = list(_odd(f"{name} settings", endpoint, settings.score_timeout))
    yield from found or [ok(f"{name} settings", f"at most {endpoint.max_in_flight} in flight")]


def _odd(check: str, endpoint: Endpoint, timeout: timedelta) -> Iterator[Finding]:
    address = urlsplit(endpoint.url)
    if address.scheme == "http" and address.hostname not in LOOPBACK:
        yield warn(check, "images and the key are sent without TLS", "use the https:// address")
    if not address.path.endswith("/score"):
        yield warn(
            check, "the address does not end with /score", "set the scoring URI, not the address of the endpoint itself"
        )
    if endpoint.concurrency is not None and endpoint.concurrency > endpoint.max_in_flight:
        said = f"concurrency is {endpoint.concurrency}, but max_in_flight is only {endpoint.max_in_flight}"
        yield warn(check, said, "raise max_in_flight, or lower concurrency")
    weighs = _ANSWER * endpoint.prompts_per_score * endpoint.rows_per_request
    if weighs / endpoint.max_bytes_per_s > timeout.total_seconds():
        said = f"a response can be {weighs >> 20} MiB, and receiving it would take longer than the timeout"
        yield warn(check, said, "raise max_bytes_per_s, or lower prompts_per_score or rows_per_request")
    if endpoint.max_request_bytes < _NOISE:
        said = f"one image can be {_NOISE >> 20} MiB, but a request only {endpoint.max_request_bytes >> 20} MiB"
        yield warn(check, said, "raise max_request_bytes")


def _scores(name: str, endpoint: Endpoint, settings: Settings) -> Iterator[Finding]:
    if find_spec("numpy") is None:
        yield skip(
            name, "not tested, because this needs the extra `worker`; run the command where a segment worker runs"
        )
        return
    from maskrelay.admin.checks import score_check  # noqa: PLC0415 - its dependencies are not in the API's image

    scored = score_check.score(name, endpoint, settings.score_timeout)
    yield scored
    if endpoint.wire == "lean2d" and scored.state == "ok":
        yield score_check.check_lean(f"{name} wire", endpoint, settings.score_timeout)


def _clock(check: str, endpoint: Endpoint) -> Finding:
    """Compare this machine's clock with the `Date` header of a response from the endpoint's host. No key is sent."""
    began = datetime.now(UTC)
    try:
        origin = httpx.URL(endpoint.url).copy_with(raw_path=b"/", userinfo=b"")
        answer = httpx.head(origin, timeout=5, **client_options(origin, proxy=proxy_of(endpoint, origin)))
        server_time = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, httpx.InvalidURL, SettingsError, KeyError, ValueError):
        return skip(check, "no response with a time was received")
    took = datetime.now(UTC) - began
    server_time = server_time if server_time.tzinfo else server_time.replace(tzinfo=UTC)
    return clock(check, server_time - began - took / 2, timedelta(seconds=1) + took / 2)
