"""An httpx transport to one origin.

It takes a third to a half of the CPU time of httpx's own transport (`docs/decisions/0007-the-transport.md`).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import h11
import httpx

from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import Proxy
from maskrelay.scoring.endpoint_connection import EndpointConnection
from maskrelay.scoring.proxy_tunnel import open_tunnel, reach

#: The longest time that a connection may be idle, in seconds. It is not used again after a longer time, because the
#: server may be closing it. The value is the default of httpx.
LONGEST_IDLE_S = 5.0


class Transport(httpx.AsyncBaseTransport):
    """A transport that keeps up to `max_connections` connections to the host of `origin`. It belongs to one event loop.

    Of a request's timeouts, only `connect` and `pool` are used. The caller must limit the time of the whole exchange.
    Redirects and HTTP/2 are not supported. If a request is sent on an idle connection, the server may be closing this
    connection. If it is certain that the server has not received the whole request, the request is sent once more on a
    new connection. `tls` is `client_context()` by default, which has no client certificate.

    If `proxy` is given, a connection to an https origin is a tunnel through the proxy (CONNECT), and requests to an
    http origin are sent to the proxy. The exceptions are those of httpx's own transport, and ProxyFailed.
    """

    def __init__(
        self,
        origin: httpx.URL,
        *,
        max_connections: int,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._host = origin.host
        self._port = origin.port or (443 if origin.scheme == "https" else 80)
        self._tls = (tls or client_context()) if origin.scheme == "https" else None
        self._proxy = proxy
        self._proxy_tls = client_context() if proxy and proxy.is_tls else None
        self._free = asyncio.Semaphore(max_connections)
        self._idle: list[EndpointConnection] = []
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response.

        The body of the response is read from the connection later, on demand.
        """
        limits = request.extensions.get("timeout", {})
        await self._enter(limits.get("pool"))
        link = None
        try:
            if link := self._rested():
                try:
                    head = await self._ask(link, request)
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    if not link.was_cut_off():
                        raise
                    link.close()
                    link = None
            if link is None:
                link = await self._connect(limits.get("connect"))
                head = await self._ask(link, request)
        except BaseException:
            self._leave(link)
            raise
        headers = head.headers.raw_items()
        return httpx.Response(head.status_code, headers=headers, stream=Body(link, self._leave))

    async def _ask(self, link: EndpointConnection, request: httpx.Request) -> h11.Response:
        through = self._proxy if self._tls is None else None
        link.send(request, through.headers if through else None)
        return await link.head()

    async def aclose(self) -> None:
        """Close the idle connections. A connection in use is closed at the end of its exchange."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # asyncio closes a socket in the next iteration of the loop

    async def _enter(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are in use") from None

    def _leave(self, link: EndpointConnection | None) -> None:
        self._free.release()
        if link is None or not link.rest():
            return
        if self._is_closed:
            link.close()
        else:
            self._idle.append(link)

    def _rested(self) -> EndpointConnection | None:
        while self._idle:
            link = self._idle.pop()
            if link.is_fit(LONGEST_IDLE_S):
                return link
            link.close()
        return None

    async def _connect(self, seconds: float | None) -> EndpointConnection:
        loop = asyncio.get_running_loop()
        ends = None if seconds is None else loop.time() + seconds
        tunnel = await self._tunnel(seconds)
        try:
            async with asyncio.timeout_at(ends):
                return await self._direct() if tunnel is None else await self._over(tunnel)
        except TimeoutError:
            raise httpx.ConnectTimeout("the host did not answer") from None
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from None

    async def _tunnel(self, seconds: float | None) -> asyncio.Transport | None:
        if self._proxy is None:
            return None
        if self._tls is None:
            return await reach(self._proxy, self._proxy_tls, seconds)
        return await open_tunnel(self._proxy, self._proxy_tls, self._host, self._port, seconds)

    async def _direct(self) -> EndpointConnection:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(
            EndpointConnection, self._host, self._port, ssl=self._tls, happy_eyeballs_delay=0.25
        )
        return link

    async def _over(self, tunnel: asyncio.Transport) -> EndpointConnection:
        """Return a connection for exchanges with the origin that uses `tunnel`.

        If the origin uses https, `tunnel` leads through the proxy to the origin, and TLS is started inside it.
        Otherwise, `tunnel` is the connection to the proxy, and is used as it is.
        """
        link, transport = EndpointConnection(), tunnel
        try:
            if self._tls is not None:
                loop = asyncio.get_running_loop()
                started = await loop.start_tls(tunnel, link, self._tls, server_hostname=self._host)
                assert started
                transport = started
        except BaseException:
            tunnel.abort()
            raise
        transport.set_protocol(link)
        link.connection_made(transport)
        return link


class Body(httpx.AsyncByteStream):
    """The body of a response.

    If the body is closed before its end, the connection is closed too. Otherwise, the rest of the body would be read as
    the next response.
    """

    def __init__(self, link: EndpointConnection, leave: Callable[[EndpointConnection], None]) -> None:
        self._link = link
        self._leave = leave

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._link.piece():
            yield piece  # type: ignore[misc]  # httpx counts and decodes the pieces, for which a bytearray works too

    def began(self) -> float:
        """Return the time at which the first byte of the body arrived, by the clock of the event loop."""
        return self._link.began

    async def aclose(self) -> None:
        self._leave(self._link)
