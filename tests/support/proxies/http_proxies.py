"""An HTTP proxy in threads like that of a hospital, with CONNECT, absolute addresses, Basic authentication and TLS."""

import base64
import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import urlsplit

from tests.support.servers.running import running
from tests.support.servers.scripted_server import TlsServer

USER, PASSWORD = "mask relay", "p@ss:w/rd#1"
#: The user and password as they are written in a URL.
QUOTED = "mask%20relay:p%40ss%3Aw%2Frd%231"


@dataclass
class HttpProxy:
    """A running proxy. `asked` has the first line of each request, and `refused` counts those
    without the right password.
    """

    port: int = 0
    asked: list[str] = field(default_factory=list)
    refused: int = 0
    is_tls: bool = False
    #: If it is given, it is called instead of the normal behaviour.
    misbehave: Callable[[socket.socket], None] | None = None
    #: The addresses of host names. Any other name is resolved.
    names: dict[str, str] = field(default_factory=dict)
    #: Set when the test ends. Whatever holds something back waits for it.
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return the address with user and password."""
        return self.address.replace("://", f"://{QUOTED}@")


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        proxy: HttpProxy = self.server.proxy  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            line, headers = self._head()
            if not line:
                return
            proxy.asked.append(line)
            if proxy.misbehave:
                proxy.misbehave(self.connection)
                return
            expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if headers.get("proxy-authorization") != expected:
                proxy.refused += 1
                self.wfile.write(
                    b'HTTP/1.1 407 Who?\r\nproxy-authenticate: Basic realm="x"\r\ncontent-length: 0\r\n\r\n'
                )
                return
            self._serve(proxy, line, headers)

    def _head(self) -> tuple[str, dict[str, str]]:
        line = self.rfile.readline().decode().strip()
        headers = {}
        while header := self.rfile.readline().decode().strip():
            name, _, value = header.partition(": ")
            headers[name.lower()] = value
        return line, headers

    def _serve(self, proxy: HttpProxy, line: str, headers: dict[str, str]) -> None:
        method, target, _ = line.split()
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host = str(parts.hostname)
        try:
            behind = socket.create_connection((proxy.names.get(host, host), parts.port or 80), timeout=10)
        except OSError:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return
        with behind:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _pump(self.connection, behind)
            else:
                kept = "".join(
                    f"{k}: {v}\r\n" for k, v in headers.items() if not k.startswith(("proxy-", "connection"))
                )
                body = self.rfile.read(int(headers.get("content-length", 0)))
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                behind.sendall(f"{method} {path} HTTP/1.1\r\nconnection: close\r\n{kept}\r\n".encode() + body)
                self._answer(behind.makefile("rb"))

    def _answer(self, behind: IO[bytes]) -> None:
        """Pass on one answer of known length, after which the connection ends."""
        with behind:
            status, length = behind.readline(), 0
            self.wfile.write(status + b"connection: close\r\n")
            while (header := behind.readline()).strip():
                self.wfile.write(header)
                length = int(header[15:]) if header.lower().startswith(b"content-length:") else length
            self.wfile.write(b"\r\n" + behind.read(length))


def _pump(one: socket.socket, two: socket.socket) -> None:
    while True:
        waiting = [side for side in (one, two) if isinstance(side, ssl.SSLSocket) and side.pending()]
        for side in waiting or select.select([one, two], [], [], 10)[0]:
            heard = side.recv(1 << 16)
            if not heard:
                return
            (two if side is one else one).sendall(heard)


@contextlib.contextmanager
def http_proxy(tls: ssl.SSLContext | None = None, **more: object) -> Iterator[HttpProxy]:
    """Run a proxy on a free port of the loopback interface until the block ends."""
    with TlsServer(("127.0.0.1", 0), _Handler) as server:
        proxy = HttpProxy(port=server.server_address[1], is_tls=tls is not None, **more)  # type: ignore[arg-type]
        server.proxy = proxy  # type: ignore[attr-defined]
        server.tls = tls
        with running(server):
            try:
                yield proxy
            finally:
                proxy.released.set()
