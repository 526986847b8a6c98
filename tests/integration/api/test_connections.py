"""Connections that say nothing, or stop in the middle: they end, and nobody else waits for them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.__main__ import most_connections
from api.http.connections import MOST, guarded
from tests.support.servers.apis import api_process
from tests.support.servers.simulators import eventually


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)


@dataclass
class Served:
    port: int

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def get(self) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False, timeout=30)


@contextmanager
def served(**limits: float) -> Iterator[Served]:
    config = uvicorn.Config(echo, log_level="warning", http=guarded(**limits), lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        assert eventually(lambda: server.started, 30)
        yield Served(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def is_ended(connection: socket.socket) -> bool:
    """Wait until the other side ends the connection, reading what it says before."""
    try:
        while connection.recv(65536):
            continue
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"G"])
def test_a_connection_without_a_whole_request_is_ended(said: bytes) -> None:
    with served(headers_s=1) as running, running.connected() as silent:
        silent.sendall(said)
        assert is_ended(silent)
        assert running.get().status_code == 200


def test_headers_that_drip_are_ended_although_bytes_keep_coming() -> None:
    with served(headers_s=1) as running, running.connected() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")

        def drip() -> bool:
            try:
                slow.sendall(b"X-A: b\r\n")
            except OSError:
                return True
            return False

        assert eventually(drip, 30)


def test_a_body_that_stops_is_ended() -> None:
    with served(idle_body_s=1) as running, running.connected() as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert is_ended(half)


def test_a_kept_connection_serves_many_requests() -> None:
    with served(headers_s=5) as running, httpx.Client(trust_env=False) as client:
        answers = [client.post(f"http://127.0.0.1:{running.port}/", content=b"x" * 100_000).text for _ in range(5)]
    assert answers == ["100000 bytes"] * 5


def test_silent_connections_beyond_the_most_make_room_for_whoever_speaks() -> None:
    with served(most=20, headers_s=600) as running, ExitStack() as silent:
        connections = [silent.enter_context(running.connected()) for _ in range(60)]
        assert [running.get().status_code for _ in range(5)] == [200] * 5
        assert is_ended(connections[0])


def test_a_process_that_may_open_few_files_answers_beside_more_silent_connections_than_that(
    tmp_path: Path, empty_valkey: str
) -> None:
    with api_process(tmp_path, empty_valkey, descriptors=1024) as (url, process), ExitStack() as silent:
        address = (httpx.URL(url).host, httpx.URL(url).port)
        for _ in range(1100):
            silent.enter_context(socket.create_connection(address, timeout=30))
        assert [httpx.get(f"{url}/livez", trust_env=False, timeout=30).status_code for _ in range(5)] == [200] * 5
        assert process.num_fds() < 900


@pytest.mark.parametrize(("descriptors", "connections"), [(64, 32), (1024, 512), (4096, 3072), (1 << 20, MOST)])
def test_at_least_half_of_the_descriptors_and_at_most_the_fixed_number_are_for_connections(
    descriptors: int, connections: int
) -> None:
    assert most_connections(descriptors) == connections
