"""What `maskrelay doctor` finds, and servers with faults that no real server can be configured to have."""

import base64
import json
import socketserver
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import dropwhile, takewhile
from time import time

from maskrelay.admin.checks.diagnosis import diagnose
from maskrelay.admin.checks.finding import Finding
from maskrelay.contract.wire.image2d import CANVAS
from tests.support.servers.running import running

Environment = dict[str, str]
SERVER_KEY = "0123456789abcdef-of-the-tests-0123456789"


def findings(environment: Mapping[str, str], check: str) -> list[Finding]:
    """Return the findings of one check, of which there must be at least one. The checks after it are not run."""
    found = dropwhile(lambda one: one.check != check, diagnose(environment))
    of_it = list(takewhile(lambda one: one.check == check, found))
    assert of_it, f"nothing was found of {check}"
    return of_it


class _Endpoint(BaseHTTPRequestHandler):
    """An endpoint that scores with 0 and 1 only. Its clock is an hour behind."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        maps = {"data": base64.b64encode(b"\x01" * CANVAS**2).decode(), "shape": [1, CANVAS, CANVAS], "dtype": "uint8"}
        self._answer(json.dumps([{"image_features": json.dumps(maps), "text_features": ["liver"]}]).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Date", formatdate(time() - 3600, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def binary_endpoint_with_a_slow_clock() -> Iterator[str]:
    """Yield its scoring URI."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server, running(server):
        yield f"http://127.0.0.1:{server.server_port}/score"


class _OldRedis(socketserver.StreamRequestHandler):
    """A server that knows INFO and reports everything else as unknown, as old servers do with new commands."""

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip())
            facts = b"redis_version:6.2.14\r\nrole:master\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n"
            known = words[0].upper() == b"INFO"
            self.wfile.write(b"$%d\r\n%s\r\n" % (len(facts), facts) if known else b"-ERR unknown command\r\n")


@contextmanager
def old_redis() -> Iterator[str]:
    """Yield its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _OldRedis) as server, running(server):
        server.daemon_threads = True
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"


def planted(environment: Environment, check: str, state: str, *words: str) -> None:
    """The check says so with these words, and what to do; nothing secret and no path is told."""
    for finding in findings(environment, check):
        told = f"{finding.said} → {finding.hint}"
        assert finding.state == state, finding
        assert all(word in told for word in words), told
        assert finding.hint
        for secret in (SERVER_KEY, "hidden", environment["MASKRELAY_STORAGE_URL"].removeprefix("file://")):
            assert secret not in told
