"""Connections pinned to given addresses instead of the URL's host name, under one deadline for the whole exchange."""

import ssl
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore


class TlsRefused(httpcore.ConnectError):
    """Connected, but without TLS, or without a valid certificate for this name."""


class Dialler(httpcore.NetworkBackend):
    """Connects to the first of `addresses` that responds, until `ends` (monotonic seconds).

    httpcore still uses the URL's host name for the Host field, for SNI and to verify the certificate.
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
            # Each address gets a share of the remaining time, so that an unresponsive one does not use it up.
            share = time_left(self._ends) / (len(self._addresses) - tried)
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, share, local_address, socket_options)
                return _TimedStream(stream, self._ends)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A stream under one deadline: every operation gets only the remaining time, so that a slow
    peer cannot extend it.
    """

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
    """Return the seconds until `ends`; raises httpcore.ReadTimeout when there are none."""
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
