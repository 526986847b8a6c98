"""The HTTP/1.1 server: one request after another on each connection, with as few copies and steps as possible.

Bodies have a Content-Length and are read straight into their final buffer. A general server costs several milliseconds
for a body of a megabyte, and could neither delay reading it nor reset a connection.
"""

import asyncio
import socket
import struct
from dataclasses import replace
from http import HTTPStatus

from simulator.app import Simulator, measured
from simulator.gateway import BODY_LIMIT
from simulator.messages import Answer, Request, json_answer

HEAD_LIMIT = 64 * 1024
END = b"\r\n\r\n"


class Unreadable(Exception):
    """The head of a request that cannot be served, with the HTTP status to return."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection(asyncio.BufferedProtocol):
    """One connection. A body beyond the gateway's limit is read, so that the request can be answered, but
    it is not kept.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._loop = asyncio.get_running_loop()
        self._spare = memoryview(bytearray(HEAD_LIMIT))
        self._early = bytearray()
        self._request: Request | None = None
        self._body = bytearray()
        self._missing = 0
        self._serving: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 the buffer is our own choice
        if not self._missing:
            return self._spare
        most = self._simulator.pipe.piece() or self._missing
        if not self._body:
            return self._spare[: min(most, self._missing)]
        start = len(self._body) - self._missing
        return memoryview(self._body)[start : start + most]

    def buffer_updated(self, nbytes: int) -> None:
        if self._missing:
            self._missing -= nbytes
            self._came(nbytes)
        else:
            self._early += self._spare[:nbytes]
            self._look()

    def _came(self, size: int) -> None:
        """Account for received bytes of the body.

        If the pipe is busy, pause reading. When the body is complete, start the request.
        """
        request = self._request
        assert request is not None
        waits = 0.0
        if measured(request.path):
            self._simulator.counters.bytes_in += size
            waits = self._simulator.pipe.delay(size)
        if waits:
            self._transport.pause_reading()
            self._loop.call_later(waits, self._go_on)
        elif not self._missing:
            self._begin()

    def _go_on(self) -> None:
        if self._transport.is_closing():
            return
        self._transport.resume_reading()
        if not self._missing:
            self._begin()

    def _look(self) -> None:
        """Start the next request if its head has arrived and the previous request is answered."""
        end = self._early.find(END)
        if self._serving is not None or (end < 0 and len(self._early) < HEAD_LIMIT):
            return
        try:
            self._request = head_of(bytes(self._early[: max(end, 0)]))
        except Unreadable as refusal:
            answer = json_answer(refusal.status, {"message": str(refusal)}, connection="close")
            self._transport.write(head_bytes(answer) + answer.body)
            self._transport.close()
            return
        size = self._request.body_bytes
        if self._request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        first = self._early[end + len(END) :][:size]
        self._early = self._early[end + len(END) + size :]
        self._body = bytearray(size if size <= BODY_LIMIT else 0)
        self._body[: len(first) if self._body else 0] = first if self._body else b""
        self._missing = size - len(first)
        self._came(len(first))

    def _begin(self) -> None:
        assert self._request is not None
        request = replace(self._request, body=self._body)
        self._body, self._request = bytearray(), None
        self._serving = self._loop.create_task(self._serve(request))
        self._serving.add_done_callback(self._served)

    async def _serve(self, request: Request) -> None:
        answer = await self._simulator.answer(request)
        if answer.cut == "reset":
            self._reset()
            return
        self._transport.write(head_bytes(answer))
        body = answer.body[: len(answer.body) // 2] if answer.cut else answer.body
        if request.method == "HEAD":
            body = b""
        if measured(request.path):
            await self._simulator.pipe.pour(body, answer.drip_s, self._transport.write)
        else:
            self._transport.write(body)
        self._serving = None
        if answer.cut or request.headers.get("connection", "").lower() == "close":
            self._transport.close()
        else:
            self._look()

    def _served(self, serving: asyncio.Task[None]) -> None:
        """Abort the connection after an internal error, so that no client waits for the response for ever."""
        if not serving.cancelled() and serving.exception() is not None:
            self._loop.call_exception_handler({"message": "no answer", "exception": serving.exception()})
            self._transport.abort()

    def _reset(self) -> None:
        """End the connection with a TCP reset instead of a response."""
        linger_zero = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self._transport.abort()


def head_of(head: bytes) -> Request:
    """Parse everything of a request except its body, whose size is `body_bytes`. Raises Unreadable."""
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
        pairs = (line.split(":", 1) for line in lines[1:])
        headers = {name.lower(): value.strip() for name, value in pairs}
        size = int(headers.get("content-length", "0"))
    except ValueError:
        raise Unreadable(400, "This is not an HTTP request, or its head is too long.") from None
    if not version.startswith("HTTP/1.") or size < 0:
        raise Unreadable(400, "This is not an HTTP/1 request.")
    if "transfer-encoding" in headers:
        raise Unreadable(411, "The simulator requires a Content-Length.")
    return Request(method, target.partition("?")[0], headers, body_bytes=size)


def head_bytes(answer: Answer) -> bytes:
    """Return the status line and the headers, with the length of the whole body."""
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unknown"
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1", "replace") + END
