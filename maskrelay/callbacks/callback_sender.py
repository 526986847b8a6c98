"""One attempt to send an event to its receiver."""

import re
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

import httpcore
import httpx

from maskrelay.callbacks.address_guard import AddressGuard, port_of, target_of
from maskrelay.callbacks.pinned_connection import Dialler, TlsRefused
from maskrelay.callbacks.signature import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign,
)
from maskrelay.errors import CallbackForbidden
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import Proxy

Reason = Literal[
    "ok",
    "redirect",  # 3xx; a redirect is never followed, because the new address was not checked
    "gone",  # 410: the receiver wants no more events
    "http_error",  # any other status
    "timeout",
    "refused",  # no connection could be made
    "unresolved",  # the host name has no address
    "forbidden_address",
    "tls",  # no valid certificate for this name, or no TLS at all
    "no_answer",  # the connection was interrupted, or the response was not HTTP
    "proxy",  # the callback proxy cannot be reached, or refuses its user and password
    "proxy_refused",  # the callback proxy refuses to connect to this receiver
]
_ANSWER_BYTES = 64 << 10
_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_BROKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of one attempt."""

    delivered: bool
    status: int | None
    reason: Reason
    #: The pause that the receiver requests.
    retry_after_s: float | None = None
    #: Whether the receiver wants no more events.
    disable: bool = False


class CallbackSender:
    """A client that sends events. It may be used from several threads at once.

    `timeout` applies to the whole exchange, from the DNS lookup to the last byte of the response. `tls` sets the
    trusted authorities and the client certificate; by default it is `client_context()`.

    A `proxy` resolves the host names itself, so the proxy must also restrict the destinations. This client then checks
    only hosts that are given as addresses. The proxies in environment variables are not used, because the addresses to
    which they connect could not be checked.
    """

    def __init__(
        self,
        guard: AddressGuard,
        timeout: timedelta,
        tls: ssl.SSLContext | None = None,
        *,
        proxy: Proxy | None = None,
    ) -> None:
        self._guard = guard
        self._timeout = timeout
        self._tls = tls or client_context()
        self._proxy = proxy
        self._proxy_tls = client_context() if proxy and proxy.is_tls else None

    def send(
        self,
        url: str,
        secrets: Sequence[str],
        event_id: str,
        body: bytes,
        now: int,
        traceparent: str | None = None,
    ) -> DeliveryResult:
        """Make one attempt at the time `now` (unix seconds), signed with each of `secrets`.

        A failure is returned as a result, not raised. A malformed `traceparent` is not sent. Raises OptionInvalid for a
        malformed secret.
        """
        ends = time.monotonic() + self._timeout.total_seconds()
        headers = {
            "content-type": "application/json",
            "user-agent": "maskrelay",
            ID_HEADER: event_id,
            TIMESTAMP_HEADER: str(now),
            SIGNATURE_HEADER: " ".join(sign(secret, event_id, now, body) for secret in secrets),
        }
        if traceparent and _TRACEPARENT.fullmatch(traceparent):
            headers["traceparent"] = traceparent
        try:
            target = target_of(url)
            addresses = self._addresses(target)
        except CallbackForbidden:
            return _failed("forbidden_address")
        if not addresses:
            return _failed("unresolved")
        try:
            status, asked = self._post(target, Dialler(addresses, ends), headers, body)
        except _BROKEN as error:
            return _failed(_reason(error, through_proxy=self._proxy is not None))
        if status == 407 and self._proxy:
            return _failed("proxy")
        return _judged(status, _seconds(asked, now))

    def _addresses(self, target: httpx.URL) -> tuple[str, ...]:
        """Return the addresses to which to connect. Raises CallbackForbidden."""
        host, port = target.raw_host.decode(), port_of(target)
        if self._proxy is None:
            return self._guard.resolve(host, port, self._timeout)
        self._guard.check_host(host, port)
        return (self._proxy.host,)

    def _pool(self, dialler: Dialler) -> httpcore.ConnectionPool:
        if self._proxy is None:
            return httpcore.ConnectionPool(self._tls, max_connections=1, network_backend=dialler)
        scheme = b"https" if self._proxy.is_tls else b"http"
        return httpcore.HTTPProxy(
            httpcore.URL(scheme=scheme, host=self._proxy.host.encode(), port=self._proxy.port, target=b"/"),
            proxy_headers=self._proxy.headers,
            ssl_context=self._tls,
            proxy_ssl_context=self._proxy_tls,
            max_connections=1,
            network_backend=dialler,
        )

    def _post(self, target: httpx.URL, dialler: Dialler, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Return the response's status and `Retry-After`."""
        url = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
        fields = [("host", target.netloc.decode()), *headers.items()]
        with (
            self._pool(dialler) as pool,
            pool.stream("POST", url, headers=fields, content=body) as answer,
        ):
            asked = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
            # Only the status and the header matter. The body is read so that the receiver can finish sending it.
            with suppress(*_BROKEN):
                left = _ANSWER_BYTES
                for chunk in answer.iter_stream():
                    left -= len(chunk)
                    if left <= 0:
                        break
            return answer.status, asked.decode("latin-1")


def _failed(reason: Reason) -> DeliveryResult:
    return DeliveryResult(delivered=False, status=None, reason=reason)


def _reason(error: Exception, *, through_proxy: bool) -> Reason:
    if isinstance(error, httpcore.ProxyError):  # its message begins with the proxy's status
        return "proxy" if str(error).startswith("407") else "proxy_refused"
    if isinstance(error, httpcore.TimeoutException):
        return "timeout"
    if isinstance(error, TlsRefused):
        return "tls"
    if isinstance(error, httpcore.ConnectError):
        return "proxy" if through_proxy else "refused"
    return "no_answer"


def _judged(status: int, retry_after_s: float | None) -> DeliveryResult:
    if 200 <= status < 300:
        return DeliveryResult(delivered=True, status=status, reason="ok")
    if status == 410:
        return DeliveryResult(delivered=False, status=status, reason="gone", disable=True)
    reason: Reason = "redirect" if 300 <= status < 400 else "http_error"
    return DeliveryResult(delivered=False, status=status, reason=reason, retry_after_s=retry_after_s)


def _seconds(retry_after: str, now: int) -> float | None:
    """Return the value of `Retry-After` (seconds or an HTTP date) as seconds from `now`, or None if it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
