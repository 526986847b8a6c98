"""Requests to web servers from which sources are read, only to addresses that the credential allows.

The rules are those of callbacks: the addresses of a host must be public, unless the credential allows them. Redirects
are not followed, and the proxies of the environment are not used, because the addresses behind them could not be
checked.
"""

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpcore

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.errors import CallbackForbidden, SourceForbidden, SourceNotFound, SourceUnavailable
from maskrelay.network.certificates import client_context
from maskrelay.sources.credential_kinds import WebCredential

_CONNECT_S, _READ_S = 4.0, 8.0
_TIMEOUTS = {"connect": _CONNECT_S, "read": _READ_S, "write": _READ_S, "pool": _READ_S}
_CONNECTIONS, _IDLE_S = 32, 30.0
_UNSENDABLE = "the URL or the secret contains characters that HTTP cannot send"
#: 4xx statuses that ask the client to retry later.
_LATER = frozenset({408, 425, 429})


class WebConnection:
    """Connections with the secret of one credential. It may be used from any thread."""

    def __init__(self, credential: WebCredential) -> None:
        self._credential = credential
        self._pool = httpcore.ConnectionPool(
            client_context(),
            max_connections=_CONNECTIONS,
            keepalive_expiry=_IDLE_S,
            network_backend=_GuardedBackend(AddressGuard(credential.allow)),
        )
        weakref.finalize(self, self._pool.close).atexit = False

    @contextmanager
    def response(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        content: Iterator[bytes] | None = None,
        read_s: float = _READ_S,
    ) -> Iterator[httpcore.Response]:
        """Send a request to an `https` URL, and yield the response, whose body can be iterated.

        `content` is the body of the request, whose length is in `headers`. `read_s` is the longest pause of the
        response.

        Errors while the body is read inside the block are translated too. Raises SourceUnavailable for an outage, and
        SourceForbidden if the address is not allowed, or if the URL or the secret cannot be sent by HTTP.
        """
        secret = self._credential.secret_text()
        sent = {"User-Agent": "maskrelay", "Accept-Encoding": "identity", **headers}
        if secret is not None:
            if not secret.isascii():
                raise SourceForbidden(_UNSENDABLE)
            sent[self._credential.header] = secret
        try:
            with self._pool.stream(
                method,
                url,
                headers=list(sent.items()),
                content=content,
                extensions={"timeout": _TIMEOUTS | {"read": read_s}},
            ) as response:
                yield response
        except CallbackForbidden:
            raise SourceForbidden("the server of the source is at an address that may not be reached") from None
        except httpcore.LocalProtocolError:  # for example, a secret with a line break
            raise SourceForbidden(_UNSENDABLE) from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SourceUnavailable(reason=type(error).__name__) from None


def check_status(status: int) -> None:
    """Raise the error for a status other than 2xx: SourceNotFound, SourceForbidden or SourceUnavailable."""
    if 200 <= status < 300:
        return
    if status in {404, 410}:
        raise SourceNotFound
    if status >= 500 or status in _LATER:
        raise SourceUnavailable(reason=str(status))
    raise SourceForbidden(f"{SourceForbidden.message()} ({status})")


class _GuardedBackend(httpcore.NetworkBackend):
    """A network backend that connects only to addresses that the guard allows.

    A kept connection stays with the address that was checked when it was made.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        ends = time.monotonic() + (timeout or _CONNECT_S)
        failure: Exception = httpcore.ConnectError()
        addresses = self._guard.resolve(host, port, timedelta(seconds=timeout or _CONNECT_S))
        for tried, address in enumerate(addresses):
            share = max(0.1, (ends - time.monotonic()) / (len(addresses) - tried))
            try:
                return self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure
