"""A real HTTP server in threads, in which a script writes every answer to the raw socket, so that it can misbehave."""

import contextlib
import os
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.servers.running import running


@dataclass
class Seen:
    """One request as it arrived. `connection` numbers the connections from 0."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class ScriptedServer:
    """A server in which `script(sock, request)` answers each request.

    The body of a request is read first unless `reads_body` is off. `released` is set when the test ends; a script that
    holds back an answer waits for it. `hung_up` is set when a client disconnects early.
    """

    script: Callable[[socket.socket, Seen], None]
    reads_body: bool = True
    seen: list[Seen] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)
    connections: int = 0
    url: str = ""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        scripted: ScriptedServer = self.server.scripted  # type: ignore[attr-defined]
        number, scripted.connections = scripted.connections, scripted.connections + 1
        with contextlib.suppress(OSError):
            while request := self._request(number, scripted.reads_body):
                scripted.seen.append(request)
                scripted.arrived.set()
                scripted.script(self.connection, request)
            return
        scripted.hung_up.set()

    def _request(self, number: int, reads_body: bool) -> Seen | None:
        line = self.rfile.readline().decode().strip()
        if not line:
            return None
        headers = {}
        while header := self.rfile.readline().decode().strip():
            name, _, value = header.partition(": ")
            headers[name.lower()] = value
        length = int(headers.get("content-length", 0)) if reads_body else 0
        return Seen(line, headers, self.rfile.read(length), number)


class TlsServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    tls: ssl.SSLContext | None = None

    def get_request(self):
        sock, address = super().get_request()
        return (self.tls.wrap_socket(sock, server_side=True) if self.tls else sock), address


@contextlib.contextmanager
def serving(
    script: Callable[[socket.socket, Seen], None], *, reads_body: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """Run a server on a free port of loopback, which answers by `script`, until the block ends."""
    scripted = ScriptedServer(script, reads_body)
    with TlsServer(("127.0.0.1", 0), _Handler) as server:
        server.scripted = scripted  # type: ignore[attr-defined]
        server.tls = tls
        scripted.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/score"
        with running(server):
            try:
                yield scripted
            finally:
                scripted.released.set()


def http(status: int, body: bytes, *, length: int | None = None, **headers: str) -> bytes:
    """Return an HTTP answer as bytes. An underscore in a header's name becomes a dash."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(sock: socket.socket) -> None:
    """End the connection with a reset, which the kernel sends because SO_LINGER has no time."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(sock.detach())  # close() would wait for the handler's own file object of the socket


def hang_up(sock: socket.socket) -> None:
    """End the connection in the normal way."""
    sock.shutdown(socket.SHUT_RDWR)
