"""An HTTP proxy in front of an S3 server that loses answers, drops headers, answers itself, waits,
or holds one request.
"""

import http.client
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support.proxies.holds import Hold
from tests.support.servers.running import running


class FaultyProxy(ThreadingHTTPServer):
    """The proxy. Faults apply to PUT requests, one to each as long as there are any left. `puts` counts these requests.

    With `lose_every`, the answer to every PUT with such a number is lost. With `lose_answers_of`, the answers to all
    requests whose path contains this text are lost. With `away`, every request is answered with 503. With `delay_s`,
    each request waits that long. A request of `held` is caught.
    `seen` has "METHOD /path" of every request, and `answered` the number of bytes in the bodies of all answers to it.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.puts = 0
        self.seen: list[str] = []
        self.answered: Counter[str] = Counter()
        self.mend()

    def mend(self) -> None:
        """Pass everything on unchanged."""
        self.lose_answers = 0
        self.lose_every = 0
        self.lose_answers_of: str | None = None
        self.answers_lost = 0
        self.answer_503 = 0
        self.drop_conditions = False
        self.away = False
        self.delay_s = 0.0
        self.hold: Hold[str] | None = None

    def loses_answer(self, path: str) -> bool:
        """Return whether the answer to this PUT is lost."""
        one_of_many = self.lose_every and self.puts % self.lose_every == 0
        meant = self.lose_answers_of is not None and self.lose_answers_of in path
        lost = bool(self.lose_answers or one_of_many or meant)
        self.lose_answers -= bool(self.lose_answers)
        self.answers_lost += lost
        return lost

    @contextmanager
    def held(self, request: str, *, after: bool = False) -> Iterator[Hold[str]]:
        """Catch the first request whose "METHOD /path" contains this pattern."""
        pattern = re.compile(request)
        hold = self.hold = Hold(lambda line: pattern.search(line) is not None, after=after)
        try:
            yield hold
        finally:
            self.hold = None
            hold.let_go()

    def handle_error(self, request, client_address) -> None:
        """Ignore the error, because tests disconnect clients on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        put = self.command == "PUT"
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.puts += put
        time.sleep(self.server.delay_s)
        hold = self.server.hold
        caught = hold is not None and hold.matches(f"{self.command} {self.path}")
        if caught and not hold.after and hold.catch():
            self.close_connection = True
            return
        if self.server.away:
            self._answer(503, [], b"")
            return
        if put and self.server.answer_503:
            self.server.answer_503 -= 1
            self._answer(503, [], b"")
            return
        status, headers, answer = self._ask(body)
        self.server.answered[f"{self.command} {self.path}"] += len(answer)
        if caught and hold.after and hold.catch():
            self.close_connection = True
            return
        if put and self.server.loses_answer(self.path):
            self.close_connection = True
            return
        self._answer(status, headers, answer)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        dropped = {"expect", "connection"} | ({"if-none-match"} if self.server.drop_conditions else set())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"connection", "content-length", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        declared = {name.lower(): value for name, value in headers}.get("content-length", "0")
        length = declared if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(upstream) as proxy, running(proxy):
        yield proxy
