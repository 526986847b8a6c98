"""Compare the CPU time that boto3 and obstore take to send a request for one small object in a bucket.

`python -m bench.objects [--calls 200] [--bytes 2000] [--runs 5] [--latency-ms 0]` starts a server as a child process
that answers every request alike and keeps its connections, as S3 does. Both libraries send it the same requests in
turns. The figures are the CPU time of all threads of this process.
"""

import argparse
import os
import secrets
import socketserver
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.figures import median, print_head, print_table, spread
from maskrelay.storage.s3 import S3Storage
from tests.support.servers.s3_servers import ENVIRONMENT, ROOT

WARM_UP = 20
FACTS = 'ETag: "e"\r\nLast-Modified: Sun, 29 Nov 2026 20:00:00 GMT\r\nDate: Sun, 29 Nov 2026 20:00:00 GMT\r\n'
Times = dict[tuple[str, str], list[float]]


def calls(storage: S3Storage, body: bytes) -> Iterator[tuple[str, Callable[[int], object]]]:
    """Yield the kinds of requests. The argument is the number of the object."""
    yield "create", lambda number: storage.create(f"jobs/{number}", body, "application/json")
    yield "put", lambda number: storage.put(f"jobs/{number}", body)
    yield "get", lambda number: storage.get(f"jobs/{number}")
    yield "head", lambda number: storage.head(f"jobs/{number}")
    yield "delete", lambda number: storage.delete(f"jobs/{number}")


class AnyObject(socketserver.StreamRequestHandler):
    """Every object is there, and has as many bytes as the environment says."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        size, latency = int(os.environ["SIZE"]), float(os.environ["LATENCY"])
        while method := self.rfile.readline().split(b" ")[0].decode():
            headers = dict(line.lower().split(b": ") for line in iter(self.rfile.readline, b"\r\n"))
            if b"expect" in headers:
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.rfile.read(int(headers.get(b"content-length", 0)))
            time.sleep(latency)
            length = size if method in {"GET", "HEAD"} else 0
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{FACTS}\r\n".encode()
            self.wfile.write(head + (bytes(size) if method == "GET" else b""))


def serve() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), AnyObject) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def running_server(size: int, latency_s: float) -> Iterator[str]:
    """Run the server as a child process, with credentials for it in the environment. Yield its URL."""
    environment = {**os.environ, "SIZE": str(size), "LATENCY": str(latency_s)}
    command = [sys.executable, "-m", "bench.objects", "--serve"]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ENVIRONMENT.items():
                patch.setenv(name, value)
            yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.communicate()


def measure(url: str, count: int, body: bytes, times: Times) -> None:
    """Send each kind of request `count` times with each library. Add the mean CPU ms of a request to `times`."""
    stores = {name: S3Storage.open("bucket", "", url, before_fork=name == "boto3") for name in ("boto3", "obstore")}
    for storage in stores.values():
        for number in range(WARM_UP):
            storage.put(f"warm-up/{number}", body)
    kinds = {name: dict(calls(storage, body)) for name, storage in stores.items()}
    for kind in kinds["boto3"]:
        for name, of in kinds.items():
            began = time.process_time()
            for number in range(count):
                of[kind](number)
            times[kind, name].append((time.process_time() - began) * 1000 / count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--bytes", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, default=0, help="how long the server takes for an answer")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve()
    times: Times = defaultdict(list)
    print_head(f"CPU ms of a request for an object of {given.bytes} bytes", given.runs)
    with running_server(given.bytes, given.latency_ms / 1000) as url:
        for _ in range(given.runs):
            measure(url, given.calls, secrets.token_bytes(given.bytes), times)
    rows = []
    for kind in dict.fromkeys(kind for kind, _ in times):
        boto3s, ours = times[kind, "boto3"], times[kind, "obstore"]
        rows.append([kind, spread(boto3s, 2), spread(ours, 2), f"{median(boto3s) / median(ours):.1f}"])
    print_table(["request", "boto3", "obstore", "ratio"], rows)
    return None


if __name__ == "__main__":
    main()
