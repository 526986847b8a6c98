"""A fake managed identity on loopback, so that tokens of the control plane can be obtained and renewed."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

#: The token that the simulator's control plane accepts.
OPENER = "bench-control-plane"


class _Identity(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        token = {"access_token": OPENER, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        body = json.dumps(token).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def managed_identity() -> Iterator[None]:
    """Let processes that start in the block find the identity in the environment, where azure-identity looks for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Identity)
    Thread(target=server.serve_forever, daemon=True).start()
    found = {
        "IDENTITY_ENDPOINT": f"http://127.0.0.1:{server.server_port}/",
        "IDENTITY_HEADER": "bench",
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    }
    before = {name: os.environ.get(name) for name in found}
    os.environ.update(found)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        server.shutdown()
        server.server_close()
