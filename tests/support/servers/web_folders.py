"""A web server over TLS, as a child process on a free loopback port, that serves the files of a folder.

It gives each file an ETag, honours ranges, and requires a bearer token.
`python -m tests.support.servers.web_folders FOLDER CERTIFICATE KEY TOKEN` is the child process. It prints its port on
one line and serves until it is ended.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tests.support.builders.certificates import server_context

ROOT = Path(__file__).parents[3]
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@contextmanager
def web_folder(folder: Path, certificate: tuple[Path, Path], token: str) -> Iterator[str]:
    """Serve the folder, and yield the URL of the server."""
    words = [sys.executable, "-m", "tests.support.servers.web_folders", str(folder), *map(str, certificate), token]
    child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        port = child.stdout.readline().strip()
        assert port, "the web server did not start"
        yield f"https://127.0.0.1:{port}"
    finally:
        child.kill()
        child.communicate()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    token: str

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = self.folder / unquote(self.path).lstrip("/")
        if self.headers["authorization"] != f"Bearer {self.token}":
            self._send(401, b"", with_body=with_body)
        elif not path.is_file():
            self._send(404, b"", with_body=with_body)
        else:
            self._send_file(path.read_bytes(), with_body=with_body)

    def _send_file(self, body: bytes, *, with_body: bool) -> None:
        etag = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}
        asked = _RANGE.fullmatch(self.headers["range"] or "")
        if asked is None:
            self._send(200, body, with_body=with_body, **etag)
        elif int(asked[1]) >= len(body):
            self._send(416, b"", with_body=with_body)
        else:
            part = body[int(asked[1]) : int(asked[2]) + 1]
            span = f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(body)}"
            self._send(206, part, with_body=with_body, **etag, **{"Content-Range": span})

    def _send(self, status: int, body: bytes, *, with_body: bool, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def serve(folder: Path, certificate: tuple[Path, Path], token: str) -> None:
    _Handler.folder, _Handler.token = folder, token
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = server_context(certificate).wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    at, public, private, bearer = sys.argv[1:]
    serve(Path(at), (Path(public), Path(private)), bearer)
