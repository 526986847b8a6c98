"""A callback receiver on the loopback interface, such as a caller would run."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from maskrelay.callbacks.signature import verify
from maskrelay.stack.loopback import HOST

_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class ReceivedCallback:
    """One request as it was received."""

    headers: dict[str, str]
    body: bytes


class Receiver:
    """A receiver at `url`, with the callbacks that it has received so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._came: list[ReceivedCallback] = []
        self._changed = Condition()

    def take(self, callback: ReceivedCallback) -> None:
        with self._changed:
            self._came.append(callback)
            self._changed.notify_all()

    def verified(self, job_id: str, secret: str, timeout: timedelta) -> dict[str, Any] | None:
        """Return the first event of the job after checking its signature, or None if no event arrives in time.

        Raises SignatureInvalid for an event that is not signed with the job's secret.
        """
        with self._changed:
            callback = self._changed.wait_for(lambda: self._about(job_id), timeout.total_seconds())
        if callback is None:
            return None
        verify(secret, callback.headers, callback.body, int(time.time()))
        event: dict[str, Any] = json.loads(callback.body)
        return event

    def _about(self, job_id: str) -> ReceivedCallback | None:
        return next((callback for callback in self._came if job_id.encode() in callback.body), None)


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free port until the block ends."""

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server requires this name
            length = min(int(self.headers.get("content-length", 0)), _LONGEST)
            receiver.take(ReceivedCallback(dict(self.headers.items()), self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing, because the terminal shows the output of the demo."""

    with ThreadingHTTPServer((HOST, 0), Take) as server:
        receiver = Receiver(f"http://{HOST}:{server.server_port}/")
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        serving.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            serving.join()
