"""Connections to given addresses instead of the URL's host name, with one deadline for the whole exchange."""

import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore


class TlsRefused(httpcore.ConnectError):
    """The receiver accepted the connection, but not TLS, or its certificate is not valid for this name."""


class Dialler(httpcore.NetworkBackend):
    """A network backend for httpcore that connects to the first of `addresses` that responds.

    `ends` is the deadline of the whole exchange, in monotonic seconds. httpcore still uses the host name of the URL for
    the Host field and for SNI, and to verify the certificate.
    """

    def __init__(self, addresses: Sequence[str], ends: float) -> None:
        self._addresses = addresses
        self._ends = ends

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError()
        for tried, address in enumerate(self._addresses):
            # Each address gets a share of the remaining time. Otherwise, an address that does not respond could use up
            # all of this time.
            share = time_left(self._ends) / (len(self._addresses) - tried)
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, share, local_address, socket_options)
                return _TimedStream(stream, self._ends)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A stream with a deadline. Every operation gets only the remaining time, so a slow receiver cannot exceed it."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, time_left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, time_left(self._ends))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            secured = self._stream.start_tls(ssl_context, server_hostname, time_left(self._ends))
        except httpcore.ConnectError:
            raise TlsRefused from None
        return _TimedStream(secured, self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def time_left(ends: float) -> float:
    """Return the seconds until `ends`. Raises httpcore.ReadTimeout if there are none left."""
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
