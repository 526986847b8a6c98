"""A substitute for Azure Resource Manager, for online endpoints: a real HTTP server on loopback, in a thread."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.servers.control_plane_state import Azure


@contextmanager
def running_azure(**knobs: Any) -> Iterator[Azure]:
    """Run the substitute on a free port of loopback. Its state can be read and changed while it runs."""
    azure, lock = Azure(**knobs), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            with lock:
                token = self.headers.get("authorization", "")
                status, body, headers = azure.answer(self.command, self.path, token, json.loads(sent) if sent else None)
                raw = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (
                {"Content-Type": "application/json", "Content-Length": str(len(raw))} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    azure.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield azure
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
