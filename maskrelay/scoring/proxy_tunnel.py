"""Connections to an endpoint through an HTTP proxy (CONNECT), and the exception for failures of the proxy."""

import asyncio
import ssl

import h11
import httpx

from maskrelay.network.proxies import Proxy

#: The longest head of a proxy's response, in bytes.
_HEAD = 64 << 10


class ProxyFailed(httpx.ProxyError):
    """The proxy cannot be reached, refuses the connection, or does not answer in time.

    `status` is the HTTP status of the proxy's response if it refused the connection, otherwise None. `is_late` is true
    if the proxy did not answer in time.
    """

    def __init__(self, message: str, *, status: int | None = None, is_late: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_late = is_late


class _Asking(asyncio.Protocol):
    """The exchange with the proxy, until the tunnel is open."""

    def __init__(self) -> None:
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self.arrived = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.http.receive_data(data)
        self.arrived.set()

    def eof_received(self) -> None:
        self.http.receive_data(b"")
        self.arrived.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.arrived.set()
        self.is_lost = True

    is_lost = False


async def reach(proxy: Proxy, tls: ssl.SSLContext | None, seconds: float | None) -> asyncio.Transport:
    """Connect to the proxy within `seconds`. `tls` is used if the proxy uses TLS. Raises ProxyFailed if this fails."""
    return (await _reached(proxy, tls, seconds)).transport


async def open_tunnel(
    proxy: Proxy, tls: ssl.SSLContext | None, host: str, port: int, seconds: float | None
) -> asyncio.Transport:
    """Open a connection to `host` through the proxy. Nothing is sent to the host.

    `seconds` limits the whole operation. `tls` is for the connection to the proxy, and None if the proxy uses plain
    HTTP. Raises ProxyFailed if the proxy cannot be reached, refuses the connection or does not answer in time.
    """
    loop = asyncio.get_running_loop()
    ends = None if seconds is None else loop.time() + seconds
    asking = await _reached(proxy, tls, seconds)
    try:
        async with asyncio.timeout_at(ends):
            await _connect(asking, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except TimeoutError:
        asking.transport.abort()
        raise ProxyFailed("the proxy did not answer in time", is_late=True) from None
    except BaseException:
        asking.transport.abort()
        raise
    return asking.transport


async def _reached(proxy: Proxy, tls: ssl.SSLContext | None, seconds: float | None) -> _Asking:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            _, asking = await loop.create_connection(
                _Asking, proxy.host, proxy.port, ssl=tls if proxy.is_tls else None, happy_eyeballs_delay=0.25
            )
    except TimeoutError:
        raise ProxyFailed("the proxy did not answer in time", is_late=True) from None
    except (OSError, UnicodeError):
        raise ProxyFailed("the proxy cannot be reached") from None
    return asking


async def _connect(asking: _Asking, proxy: Proxy, target: str) -> None:
    """Request a tunnel to `target`, and wait until it is open."""
    headers = [("Host", target), ("User-Agent", "maskrelay"), *proxy.headers]
    sent = asking.http.send(h11.Request(method="CONNECT", target=target, headers=headers))
    assert sent
    asking.transport.write(sent + (asking.http.send(h11.EndOfMessage()) or b""))
    while True:
        try:
            event = asking.http.next_event()
        except h11.RemoteProtocolError:
            raise ProxyFailed("the server at the proxy's address is not an HTTP proxy") from None
        if isinstance(event, h11.Response):
            break
        if event is h11.NEED_DATA:
            if asking.is_lost:
                raise ProxyFailed("the proxy ended the connection")
            asking.arrived.clear()
            await asking.arrived.wait()
        elif isinstance(event, h11.ConnectionClosed):
            raise ProxyFailed("the proxy ended the connection")
    if not 200 <= event.status_code < 300:
        raise ProxyFailed("the proxy refuses the tunnel", status=event.status_code)
    if asking.http.trailing_data[0]:  # The host sends nothing before a request, so these bytes are from the proxy.
        raise ProxyFailed("the proxy sent more than its response")
