"""The HTTP client of one scoring endpoint. It never repeats a request that the model may have processed."""

import asyncio
import contextlib
import re
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic

import httpx

from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.image2d_answer import MAX_BYTES
from maskrelay.contract.wire.lean2d import MAGIC
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid, EndpointError, EndpointUnavailable, SettingsError
from maskrelay.network.certificates import client_context
from maskrelay.network.response_bodies import (
    BodyCut,
    Decoder,
    ResponseTooLarge,
    aread_body,
)
from maskrelay.scoring.credentials import Credential
from maskrelay.scoring.statuses import CUT, Meaning, classify, failure
from maskrelay.scoring.transport import Body, Transport
from maskrelay.scoring.transport_errors import BREAKS, classify_break
from maskrelay.scoring.url_checks import checked_header, checked_url, proxy_of
from maskrelay.scoring.wire_formats import A_co, WireFormat

CONNECT_TIMEOUT_S = 5.0
#: The greatest length of a request id. The container of the model refuses longer ids with status 431.
REQUEST_ID_LENGTH = 100
#: The largest number of bytes that are read from the body of a response with a status other than 200.
_ERROR_BYTES = 64 << 10
_KEPT = (
    "x-request-id",
    "x-ms-run-fn-exec-ms",
    "ms-azureml-bandwidth-request-delay-ms",
    "ms-azureml-bandwidth-response-delay-ms",
    "azureml-model-deployment",
)
#: The wire formats of the 2-D model. They have the same rows and answers, so each request may use either of them.
_TWO_DIMENSIONS = {"image2d", "lean2d"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OVER_CAP = Meaning(AnswerInvalid, "too_large", "the answer is larger than any valid answer")
_ENCODED = Meaning(EndpointUnavailable, "encoding", "the answer has an encoding that was not requested")


@dataclass(frozen=True, slots=True)
class Scored(Generic[A_co]):
    """One successful score."""

    answers: Sequence[A_co]
    #: The time from the start of the request to the last byte of the response.
    seconds: float
    #: The time from the first to the last byte of the response's body. It is 0 if the body is empty, and almost 0 if
    #: the body arrived all at once.
    body_seconds: float
    #: The size of the request's body as sent, in bytes.
    bytes_up: int
    #: The size of the response's body as received, in bytes.
    bytes_down: int
    headers: dict[str, str]
    #: Whether the response was in the format lean2d.
    is_lean: bool = False

    @property
    def deployment(self) -> str:
        """The name of the deployment that answered, or "" if the gateway does not return it."""
        return self.headers.get("azureml-model-deployment", "")


@dataclass(frozen=True, slots=True)
class _Exchange:
    status: int
    headers: httpx.Headers
    body: bytes | bytearray
    bytes_down: int
    seconds: float
    body_seconds: float


class EndpointClient(Generic[A_co]):
    """A client of one scoring URI with one connection pool. An instance belongs to one event loop.

    The client uses the endpoint's proxy or, if the endpoint has none, the proxy of the environment. It follows no
    redirects. It keeps no cookies, because a cookie would bind all connections to one instance of the deployment. It
    does not retry scores, because failed frames go back to the ledger and are claimed again. Raises SettingsError for a
    URL, header or proxy that cannot be used, and if the wire format of the endpoint does not fit `wire`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credential: Credential,
        wire: WireFormat[A_co],
        *,
        timeout: timedelta,
        max_connections: int,
        max_answer_bytes: int = MAX_BYTES,
    ) -> None:
        if endpoint.wire != wire.name and not {endpoint.wire, wire.name} <= _TWO_DIMENSIONS:
            raise SettingsError(
                f"endpoint {endpoint.name} uses the wire format {endpoint.wire}, but {wire.name} is required"
            )
        self._url = checked_url(endpoint.url, f"the URL of endpoint {endpoint.name}")
        self._credential = credential
        self._wire = wire
        self._timeout = timeout
        self._max_answer_bytes = max_answer_bytes
        self._headers = _fixed_headers(endpoint.deployment)
        tls, proxy = _tls(endpoint, self._url), proxy_of(endpoint, self._url)
        self._transport = Transport(self._url, max_connections=max_connections, tls=tls, proxy=proxy)

    async def score(
        self,
        body: bytes,
        rows: Sequence[Row],
        *,
        request_id: str,
        traceparent: str | None = None,
        wire: WireFormat[A_co] | None = None,
        received: Callable[[int], None] | None = None,
    ) -> Scored[A_co]:
        """Send `body`, which contains the encoded `rows`, as one request. Return one answer for each row, in order.

        `wire` is the wire format of this request. The default is the wire format of the client. `received` is called
        with the size of the response's body when a response with status 200 has arrived completely, before it is
        parsed.

        Raises an EndpointError with `status`, `kind`, `retry_after_s` and `still_working`. If `still_working` is true,
        the container may still be processing the request, so the slot of the request is not free yet. The container
        also continues if this call is cancelled.

        If the status is 401 and the credential has another token, the request is sent once more with that token. This
        is safe, because the gateway refused the first request before the model ran.
        """
        ends = asyncio.get_running_loop().time() + self._timeout.total_seconds()
        wire = wire or self._wire
        headers = {**_identity(request_id, traceparent), "content-type": wire.content_type, "accept": wire.accept}
        token = await self._credential.token()
        got = await self._exchange(body, headers, token, ends)
        if got.status == 401 and self._credential.refuse(token):
            another = await self._credential.token()
            if another != token:
                got = await self._exchange(body, headers, another, ends)
        error = classify(got.status, got.headers, got.body, now=datetime.now(UTC))
        if error:
            raise error
        if received:
            received(got.bytes_down)
        answers = await asyncio.to_thread(wire.parse, got.body, rows, max_bytes=self._max_answer_bytes)
        kept = {name: got.headers[name][:200] for name in _KEPT if name in got.headers}
        return Scored(
            answers, got.seconds, got.body_seconds, len(body), got.bytes_down, kept, got.body.startswith(MAGIC)
        )

    async def aclose(self) -> None:
        """Close the idle connections, and each connection in use at the end of its exchange."""
        await self._transport.aclose()

    async def _exchange(self, body: bytes, headers: dict[str, str], token: str, ends: float) -> _Exchange:
        error: EndpointError
        try:
            async with asyncio.timeout_at(ends):
                return await self._post(body, {**headers, "authorization": f"Bearer {token}"})
        except BREAKS as broken:
            error = classify_break(broken)
        # The error is raised outside the exception handler. Otherwise, its context would be the exception of httpx,
        # which contains the request with the token.
        raise error

    async def _post(self, body: bytes, headers: dict[str, str]) -> _Exchange:
        loop = asyncio.get_running_loop()
        began = loop.time()
        request = httpx.Request("POST", self._url, headers={**self._headers, **headers}, content=body)
        request.extensions["timeout"] = {"connect": CONNECT_TIMEOUT_S, "pool": CONNECT_TIMEOUT_S}
        response = await self._transport.handle_async_request(request)
        async with contextlib.aclosing(response):
            read = await self._read(response)
            ended, down = loop.time(), response.num_bytes_downloaded
            took = ended - response.stream.began() if isinstance(response.stream, Body) and down else 0.0
            return _Exchange(response.status_code, response.headers, read, down, ended - began, took)

    async def _read(self, response: httpx.Response) -> bytes | bytearray:
        """Return the decoded body of a response. If the status is not 200, return only the beginning of the body."""
        if response.status_code != 200:
            return await _beginning(response)
        if response.headers.get("content-encoding", "gzip").strip().lower() not in ("gzip", "identity"):
            raise failure(_ENCODED, status=200)
        try:
            return await aread_body(response, self._max_answer_bytes)
        except (ResponseTooLarge, BodyCut) as broken:
            meaning = _OVER_CAP if isinstance(broken, ResponseTooLarge) else CUT
        raise failure(meaning, status=200)


async def _beginning(response: httpx.Response) -> bytes:
    """Return the decoded beginning of a response's body. It ends where the body cannot be decoded."""
    read = bytearray()
    with contextlib.suppress(httpx.DecodingError):
        decoder = Decoder(response.headers, sys.maxsize)
        async for piece in response.aiter_raw():
            for decoded in decoder.feed(piece):
                read += decoded
                if len(read) >= _ERROR_BYTES:
                    return bytes(read)
    return bytes(read)


def _tls(endpoint: Endpoint, url: httpx.URL) -> ssl.SSLContext | None:
    if url.scheme != "https":
        return None
    what = f"cert_file of endpoint {endpoint.name}"
    return client_context(endpoint.cert_file, endpoint.cert_key_file, what=what)


def _fixed_headers(deployment: str | None) -> dict[str, str]:
    headers = {"accept-encoding": "gzip", "user-agent": "maskrelay"}
    if deployment is not None:
        headers["azureml-model-deployment"] = checked_header(deployment, "the endpoint's deployment")
    return headers


def _identity(request_id: str, traceparent: str | None) -> dict[str, str]:
    headers = {"x-ms-client-request-id": re.sub(r"[^!-~]", "-", request_id)[:REQUEST_ID_LENGTH]}
    if traceparent and _TRACEPARENT.fullmatch(traceparent):
        headers["traceparent"] = traceparent
    return headers
