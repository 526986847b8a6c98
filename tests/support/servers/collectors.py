"""A collector of traces: a real OTLP receiver over HTTP in a thread, which keeps every span that it receives."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.servers.running import running


@dataclass(frozen=True)
class Collected:
    """One span, with ids in hex, times in nanoseconds, and attributes without their prefix."""

    name: str
    process: str
    trace: str
    id: str
    parent: str
    links: list[str]
    attributes: dict[str, str | int]
    error: str
    began: int
    ended: int


@dataclass
class Collector:
    url: str = ""
    spans: list[Collected] = field(default_factory=list)

    def named(self, name: str) -> list[Collected]:
        return [span for span in self.spans if span.name == name]

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = str(_plain(resource.resource.attributes)["process"])
            for span in (one for scope in resource.scope_spans for one in scope.spans):
                self.spans.append(
                    Collected(
                        name=span.name,
                        process=process,
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        links=[link.span_id.hex() for link in span.links],
                        attributes=_plain(span.attributes),
                        error=span.status.message,
                        began=span.start_time_unix_nano,
                        ended=span.end_time_unix_nano,
                    )
                )


def _plain(attributes) -> dict[str, str | int]:
    plain = {}
    for one in attributes:
        name = one.key.removeprefix("maskrelay.")
        plain[name] = getattr(one.value, str(one.value.WhichOneof("value")))
    return plain


@contextmanager
def collector() -> Iterator[Collector]:
    known = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            known.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        known.url = f"http://127.0.0.1:{server.server_address[1]}"
        with running(server):
            yield known
