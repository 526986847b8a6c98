"""One connection to an endpoint: h11 says what the bytes mean, asyncio moves them in pieces as large as they come."""

import asyncio

import h11
import httpx

#: As much of an answer may wait unread; then the socket is left alone, in bytes.
_WAITING = 1 << 20
#: The longest head of an answer, in bytes.
_HEAD = 100 << 10


class Link(asyncio.Protocol):
    """One connection, one exchange at a time. Every break is an exception of httpx, as its own transport has them."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._arrived = asyncio.Event()
        self._waiting = 0
        self._lost = False
        self._idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._waiting += len(data)
        if self._waiting > _WAITING:
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        self._http.receive_data(b"")
        self._arrived.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost = True
        self._arrived.set()

    def send(self, request: httpx.Request) -> None:
        """Send a request whole. Raises httpx.LocalProtocolError, and then nothing was sent."""
        body = request.content
        try:
            head = self._http.send(
                h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
            )
            self._http.send_with_data_passthrough(h11.Data(data=body))
            self._http.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from None
        assert head
        self._transport.writelines([head, body])

    async def head(self) -> h11.Response:
        """The answer's head. Raises httpx.ReadError or httpx.RemoteProtocolError."""
        while isinstance(event := await self._event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise httpx.RemoteProtocolError("the connection ended without an answer")
        return event

    async def piece(self) -> bytes:
        """The next piece of the answer's body, empty at its end. Raises as `head` does."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def rest(self) -> bool:
        """End an exchange: True when the connection is fit for another one, else it is closed."""
        whole = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        unread, unsent = self._http.trailing_data[0], self._transport.get_write_buffer_size()
        if not whole or unread or unsent or self._transport.is_closing():
            self.close()
            return False
        self._http.start_next_cycle()
        self._listen()
        self._idle_since = asyncio.get_running_loop().time()
        return True

    def is_fit(self, longest_idle: float) -> bool:
        """Whether an idle connection can still be used: nothing arrived, which would be no answer to anybody."""
        idle = asyncio.get_running_loop().time() - self._idle_since
        return not self._arrived.is_set() and not self._transport.is_closing() and idle < longest_idle

    def close(self) -> None:
        self._transport.abort()

    async def _event(self) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from None
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                raise httpx.RemoteProtocolError("more arrived than was asked for")
            await self._more()

    async def _more(self) -> None:
        """Wait until more has arrived. Raises httpx.ReadError when nothing more can."""
        if self._lost:
            raise httpx.ReadError("the connection broke off")
        self._listen()
        await self._arrived.wait()

    def _listen(self) -> None:
        self._waiting = 0
        self._transport.resume_reading()
        self._arrived.clear()
