"""The HTTP client of one scoring endpoint: one call is one exchange, never a second try."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookiejar import DefaultCookiePolicy

import httpx

from maskrelay.contract.answer import MAX_BYTES, parse_answer
from maskrelay.contract.wire import Row, RowAnswer, encode_request
from maskrelay.errors import AnswerInvalid, EndpointError, EndpointUnavailable, SettingsError
from maskrelay.scoring.breaks import BREAKS, classify_break
from maskrelay.scoring.statuses import Meaning, classify, failure

CONNECT_TIMEOUT_S = 5.0
#: The container answers 431 to a longer one.
REQUEST_ID_LENGTH = 100
#: Of an answer that is no 200, this much is read.
_ERROR_BYTES = 64 << 10
_KEPT = (
    "x-request-id",
    "x-ms-run-fn-exec-ms",
    "ms-azureml-bandwidth-request-delay-ms",
    "ms-azureml-bandwidth-response-delay-ms",
    "azureml-model-deployment",
)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OVER_CAP = Meaning(AnswerInvalid, "too_large", "the answer is larger than any that was asked for")
_ENCODED = Meaning(EndpointUnavailable, "encoding", "the answer came in an encoding nobody asked for")


@dataclass(frozen=True, slots=True)
class Scored:
    """One good score. seconds: from sending to the answer's last byte; bytes_up and bytes_down: bodies on the wire."""

    answers: list[RowAnswer]
    seconds: float
    bytes_up: int
    bytes_down: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Exchange:
    status: int
    headers: httpx.Headers
    body: bytes
    bytes_down: int


class Endpoint:
    """One scoring URI behind one pool of connections; belongs to one event loop.

    Ignores the environment's proxies, follows no redirect, keeps no cookie (one would pin the pool to an instance)
    and never tries again: the ledger alone owns retries. Raises SettingsError for a URL or key that cannot be sent.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        deployment: str | None = None,
        timeout: timedelta,
        max_connections: int,
        max_answer_bytes: int = MAX_BYTES,
    ) -> None:
        self._url = _checked_url(url)
        self._timeout = timeout
        self._max_answer_bytes = max_answer_bytes
        headers = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "authorization": f"Bearer {_checked_header(key, 'key')}",
            "content-type": "application/json",
        }
        if deployment is not None:
            headers["azureml-model-deployment"] = _checked_header(deployment, "deployment")
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            follow_redirects=False,
            trust_env=False,
        )
        self._client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    async def score(self, rows: Sequence[Row], *, request_id: str, traceparent: str | None = None) -> Scored:
        """Score `rows` in one request; their answers are in the same order.

        Raises an EndpointError with the fields `status`, `kind`, `retry_after_s` and `still_working` (the container
        may go on working, so its slot is not free yet). A cancelled score leaves the container working as well.
        """
        body = await asyncio.to_thread(encode_request, rows)
        began = time.monotonic()
        got = await self._exchange(body, _identity(request_id, traceparent))
        seconds = time.monotonic() - began
        error = classify(got.status, got.headers, got.body, now=datetime.now(UTC))
        if error:
            raise error
        answers = await asyncio.to_thread(parse_answer, got.body, rows, max_bytes=self._max_answer_bytes)
        kept = {name: got.headers[name][:200] for name in _KEPT if name in got.headers}
        return Scored(answers, seconds, len(body), got.bytes_down, kept)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, body: bytes, headers: dict[str, str]) -> _Exchange:
        error: EndpointError
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await self._post(body, headers)
        except BREAKS as broken:
            error = classify_break(broken)
        # outside the handler: as context, httpx's exception would carry the request and with it the key
        raise error

    async def _post(self, body: bytes, headers: dict[str, str]) -> _Exchange:
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            read = await self._read(response)
            return _Exchange(response.status_code, response.headers, read, response.num_bytes_downloaded)

    async def _read(self, response: httpx.Response) -> bytes:
        """The decoded body, under the cap; of an error's body the beginning."""
        good = response.status_code == 200
        # encodings can be stacked, and each multiplies what one chunk may grow to
        if response.headers.get("content-encoding", "gzip").strip().lower() not in ("gzip", "identity"):
            if good:
                raise failure(_ENCODED, status=200)
            return b""
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if not good and size >= _ERROR_BYTES:
                break
            if size > self._max_answer_bytes:
                raise failure(_OVER_CAP, status=200)
        return b"".join(chunks)


def _identity(request_id: str, traceparent: str | None) -> dict[str, str]:
    headers = {"x-ms-client-request-id": re.sub(r"[^!-~]", "-", request_id)[:REQUEST_ID_LENGTH]}
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent
    return headers


def _checked_url(url: str) -> httpx.URL:
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        read = httpx.URL()
    # a user name in the URL would replace the bearer key
    if read.scheme not in ("http", "https") or not read.host or read.userinfo:
        raise SettingsError("the endpoint's URL is not one of http or https with a host and without a user name")
    return read


def _checked_header(value: str, what: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise SettingsError(f"the endpoint's {what} is empty or has characters that no header carries")
    return value
