"""One HTTP/1.1 connection to an endpoint, made of the parser h11 and an asyncio protocol.

h11 parses the head of a response. If the status is 200 and the head states a length of the body that is not too large,
asyncio reads the body from the socket into one buffer. Otherwise, h11 parses the body too, which copies it three times.
"""

import asyncio
import select
from collections.abc import Sequence

import h11
import httpx

from maskrelay.scoring.write_progress import UNKNOWN, WriteProgress

#: The number of received bytes that may wait to be processed. If there are more, reading from the socket is paused.
_WAITING = 1 << 20
#: The longest head of a response, in bytes.
_HEAD = 100 << 10
#: The size of the read buffer for bytes that h11 parses.
_SPARE = 256 << 10
#: The largest body for which a buffer is allocated in advance, in bytes.
_ROOM = 64 << 20


class EndpointConnection(asyncio.BufferedProtocol):
    """One connection, with one exchange at a time.

    A failure raises the same exception of httpx as the transport of httpx would.
    """

    def __init__(self) -> None:
        self._http = _begun()
        self._arrived = asyncio.Event()
        self._spare = bytearray(_SPARE)
        self._body: _Room | None = None
        self._waiting = 0
        self._ended = False
        self._lost = False
        self._idle_since = 0.0
        self._heard = False
        #: `_length` is the size of the current request. `_sending` is the progress of TCP before the request, and
        #: `_sent` is the progress when the connection ended.
        self._length = 0
        self._sending = self._sent = UNKNOWN
        #: The time at which the first byte of the response's body arrived, by the clock of the event loop. 0 if none
        #: has arrived.
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 only a hint
        return memoryview(self._spare) if self._body is None or self._body.is_full() else self._body.left()

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = True
        if self._body is not None and not self._body.is_full():
            self.began = self.began or asyncio.get_running_loop().time()
            if self._body.add(nbytes):
                self._arrived.set()
            return
        self._http.receive_data(bytes(self._spare[:nbytes]))
        self._waiting += nbytes
        if self._waiting > _WAITING:
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> None:
        self._sent = WriteProgress.of(self._transport)
        self._ended = True
        self._http.receive_data(b"")
        self._arrived.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self._ended:
            self._sent = WriteProgress.of(self._transport)
        self._lost = True
        self._arrived.set()

    def send(self, request: httpx.Request, proxy_headers: Sequence[tuple[str, str]] | None = None) -> None:
        """Send a complete request. If it is invalid, raise httpx.LocalProtocolError, and send nothing.

        `proxy_headers` is given if the connection is to a proxy. The request then contains the absolute URL and these
        headers.
        """
        body = request.content
        target, headers = request.url.raw_path, request.headers.raw
        if proxy_headers is not None:
            target = str(request.url).encode()
            headers = [*headers, *((name.encode(), value.encode()) for name, value in proxy_headers)]
        try:
            head = self._http.send(h11.Request(method=request.method, target=target, headers=headers))
            self._http.send_with_data_passthrough(h11.Data(data=body))
            self._http.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from None
        assert head
        self._sending = self._sent = WriteProgress.of(self._transport)
        self._length, self._heard = len(head) + len(body), False
        self._transport.write(head)
        self._transport.write(memoryview(body))  # a view avoids a copy of what cannot be sent at once

    async def head(self) -> h11.Response:
        """Return the head of the response. Raises httpx.ReadError or httpx.RemoteProtocolError."""
        while isinstance(event := await self._event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise httpx.RemoteProtocolError("the connection ended before an answer arrived")
        length = _length(event)
        early, ended = self._http.trailing_data
        self.began = asyncio.get_running_loop().time() if early else 0.0
        if event.status_code == 200 and length is not None and len(early) < length <= _ROOM and not ended:
            self._body = _Room(length, early, keeps=_keeps(event))
            self._listen()
        return event

    async def piece(self) -> bytes | bytearray:
        """Return the next piece of the response's body, or no bytes at the end of the body.

        A body that is read into one buffer is returned in one piece. Raises the same errors as `head`.
        """
        if self._body is None:
            event = await self._event()
            self.began = self.began or asyncio.get_running_loop().time()
            return bytes(event.data) if isinstance(event, h11.Data) else b""
        while not self._body.is_full():
            if self._ended:
                raise httpx.RemoteProtocolError("the connection ended before the answer")
            await self._more()
        return self._body.take()

    def rest(self) -> bool:
        """End an exchange. Return whether the connection can be used again. If not, the connection is closed."""
        whole = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        unread, unsent = bool(self._http.trailing_data[0]), self._transport.get_write_buffer_size()
        if self._body is not None:
            whole = self._body.is_full() and self._body.keeps
            unread = self._waiting > 0 or self._body.overflows()
        if not whole or unread or unsent or self._ended or self._transport.is_closing():
            self.close()
            return False
        if self._body is None:
            self._http.start_next_cycle()
        else:
            self._http, self._body = _begun(), None
        self._listen()
        self._idle_since = asyncio.get_running_loop().time()
        return True

    def was_cut_off(self) -> bool:
        """Return whether it is certain that the connection ended before the server had received the whole request.

        In this case, the server cannot have processed the request.
        """
        if self._heard or self._length == 0:
            return False
        left = self._sent.sent - self._sending.sent < self._length
        # A server that ends a connection has acknowledged everything that it received, so it has not received the
        # bytes that are not acknowledged.
        unheard = self._ended and self._sent.acknowledged - self._sending.acknowledged < self._length
        return self._sending.is_known and self._sent.is_known and (left or unheard)

    def is_fit(self, longest_idle: float) -> bool:
        """Return whether an idle connection can still be used.

        It cannot if it was idle for too long or is closing, or if bytes have arrived on it, which belong to no request.
        """
        idle = asyncio.get_running_loop().time() - self._idle_since
        return (
            not self._arrived.is_set()
            and not self._transport.is_closing()
            and idle < longest_idle
            and not _is_readable(self._transport)
        )

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
                raise httpx.RemoteProtocolError("more bytes arrived than the response has")
            await self._more()

    async def _more(self) -> None:
        """Wait until more bytes have arrived. Raises httpx.ReadError if none can arrive any more."""
        if self._lost:
            raise httpx.ReadError("the connection broke off")
        self._listen()
        await self._arrived.wait()

    def _listen(self) -> None:
        self._waiting = 0
        self._transport.resume_reading()
        self._arrived.clear()


class _Room:
    """A buffer for a body of known length. The body is returned as a whole, and is not copied.

    The buffer is one byte longer than the body. If the last byte is used, the server has sent more than it declared.
    """

    def __init__(self, length: int, early: bytes, *, keeps: bool) -> None:
        self.keeps = keeps
        self._length = length
        self._bytes = bytearray(length + 1)
        self._bytes[: len(early)] = early
        self._come = len(early)

    def left(self) -> memoryview:
        return memoryview(self._bytes)[self._come :]

    def add(self, size: int) -> bool:
        """Count `size` more bytes. Return whether the body is complete."""
        self._come += size
        return self.is_full()

    def is_full(self) -> bool:
        return self._come >= self._length

    def overflows(self) -> bool:
        return self._come > self._length

    def take(self) -> bytearray:
        """Return the body, and empty the buffer."""
        taken, self._bytes = self._bytes, bytearray()
        del taken[self._length :]
        return taken


def _is_readable(transport: asyncio.Transport) -> bool:
    """Return whether bytes have arrived that the event loop has not read.

    On an idle connection, this means that the server has closed it.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    waiting = select.poll()
    waiting.register(sock.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _begun() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)


def _length(head: h11.Response) -> int | None:
    """Return the length of the body, or None if the head does not state it (RFC 9112 §6.3).

    h11 ensures that a head does not state two lengths.
    """
    named = dict(head.headers)
    if head.status_code in (204, 304) or b"transfer-encoding" in named:
        return None
    return int(named[b"content-length"]) if b"content-length" in named else None


def _keeps(head: h11.Response) -> bool:
    """Return whether the connection can be used again after this response (RFC 9112 §9.3)."""
    options = b",".join(value for name, value in head.headers if name == b"connection").lower().split(b",")
    return head.http_version >= b"1.1" and b"close" not in [option.strip() for option in options]
