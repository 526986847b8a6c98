"""The transport below httpx against a real server: kept connections, and every way an answer may be framed."""

import asyncio
import select
import socket
import threading

import httpx
import pytest

from maskrelay.errors import EndpointUnavailable
from maskrelay.scoring.transport import Transport
from tests.integration.scoring.scoring_cases import (
    ANSWER,
    BODY,
    GOOD,
    MAPS,
    ROWS,
    client_of,
    connections,
    score,
    sends,
)
from tests.support.servers.scripted_server import (
    hang_up,
    http,
    serving,
)

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def chunks(body, size):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


FRAMED = {
    "chunks with extensions and trailers": (CHUNKED, chunks(ANSWER, 100_000), b"0\r\nx-late: 1\r\n\r\n"),
    "one chunk": (CHUNKED, chunks(ANSWER, 1 << 30), b"0\r\n\r\n"),
    "after a 103": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", GOOD),
    "a head in pieces": (*(GOOD[place : place + 1] for place in range(60)), GOOD[60:]),
}


@pytest.mark.parametrize("pieces", FRAMED.values(), ids=FRAMED.keys())
def test_however_an_answer_is_framed_it_arrives_whole_and_the_connection_is_kept(pieces):
    with serving(sends(*pieces)) as server:
        scored = score(server.url, times=2)
    assert scored.answers[0].maps.raw == MAPS
    assert scored.bytes_down == len(ANSWER)
    assert connections(server) == [0, 0]


ENDED = {
    "its end is the connection's": (HEAD + b"\r\n", ANSWER, hang_up),
    "it says close": (http(200, ANSWER, connection="close"),),
    "more follows than was asked for": (GOOD + GOOD,),
    "HTTP/1.0": (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),),
}


@pytest.mark.parametrize("pieces", ENDED.values(), ids=ENDED.keys())
def test_a_connection_that_cannot_serve_again_is_left(pieces):
    with serving(sends(*pieces)) as server:
        scored = score(server.url, times=2)
    assert scored.answers[0].maps.raw == MAPS
    assert connections(server) == [0, 1]


MALFORMED = {
    "no version": b"OK 200\r\n\r\n",
    "another version": b"HTTP/2 200 OK\r\n\r\n",
    "a status of four figures": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a header without a colon": HEAD + b"content-length 5\r\n\r\n",
    "a header's name with a blank": HEAD + b"content length: 5\r\n\r\n",
    "a header's value with a NUL": HEAD + b"x: a\0b\r\n\r\n",
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\n[    ]",
    "a length below 0": HEAD + b"content-length: -5\r\n\r\n",
    "an unknown coding": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "a chunk's size that is none": CHUNKED + b"xyz\r\n[]\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\n[]\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED.keys())
def test_an_answer_that_is_no_http_is_a_lost_connection(answer):
    with serving(sends(answer, hang_up)) as server:
        error = score(server.url)
    assert isinstance(error, EndpointUnavailable)
    assert (error.kind, error.still_working) == ("connection_lost", True)


async def unfit(client):
    """Wait until the client's only idle connection has heard what the server did to it."""
    [link] = client._transport._idle
    async with asyncio.timeout(20):
        while link.is_fit(60):  # noqa: ASYNC110 - an idle connection tells nobody
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("after", [hang_up, lambda sock: sock.sendall(http(408, b""))], ids=["closed", "spoken on"])
def test_an_idle_connection_that_changed_is_not_used(after):
    async def run():
        client = client_of(server.url)
        first = await client.score(BODY, ROWS, request_id="r")
        sock = sockets[0]
        after(sock)
        await unfit(client)
        second = await client.score(BODY, ROWS, request_id="r")
        await client.aclose()
        return first, second

    sockets = []

    def script(sock, _request):
        sockets.append(sock)
        sock.sendall(GOOD)

    with serving(script) as server:
        scored = asyncio.run(run())
    assert [one.answers[0].maps.raw for one in scored] == [MAPS, MAPS]
    assert connections(server) == [0, 1]


def test_a_connection_idle_for_long_is_not_used(monkeypatch):
    monkeypatch.setattr("maskrelay.scoring.transport.LONGEST_IDLE_S", 0.0)
    with serving(sends(GOOD)) as server:
        assert score(server.url, times=2).answers
    assert connections(server) == [0, 1]


def test_an_answer_larger_than_may_wait_unread_arrives_whole():
    rest = b" " * 20_000_000 + b"]"
    with serving(sends(http(200, ANSWER[:-1] + rest))) as server:
        scored = score(server.url, times=2)
    assert scored.bytes_down == len(ANSWER) - 1 + len(rest)
    assert connections(server) == [0, 0]


def test_where_all_connections_are_in_use_the_wait_has_an_end():
    async def run():
        transport = Transport(httpx.URL(server.url), max_connections=1)
        timeout = httpx.Timeout(None, pool=0.01)
        async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
            first = asyncio.create_task(client.post(server.url))
            await asyncio.to_thread(server.arrived.wait, 20)
            with pytest.raises(httpx.PoolTimeout):
                await client.post(server.url)
            server.released.set()
            await first
            return (await client.post(server.url)).status_code

    def script(sock, _request):
        server.released.wait(20)
        sock.sendall(http(200, b"[]"))

    with serving(script) as server:
        assert asyncio.run(run()) == 200
    assert connections(server) == [0, 0]


def test_a_handshake_that_never_ends_is_a_connect_timeout():
    async def run(url):
        timeout = httpx.Timeout(None, connect=0.05)
        async with httpx.AsyncClient(transport=Transport(url, max_connections=1), timeout=timeout) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.post(url)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(run(httpx.URL(f"https://127.0.0.1:{silent.getsockname()[1]}/score")))


def test_what_cannot_be_sent_is_said_before_anything_is():
    async def run():
        async with httpx.AsyncClient(transport=Transport(httpx.URL(server.url), max_connections=1)) as client:
            with pytest.raises(httpx.LocalProtocolError):
                await client.post(server.url, headers={"x-evil": "a\r\nb: c"})
            return (await client.post(server.url)).status_code

    with serving(sends(http(200, b"[]"))) as server:
        assert asyncio.run(run()) == 200
    assert len(server.seen) == 1


def test_a_connection_that_ended_a_moment_ago_is_not_written_to():
    """The end has arrived, and the event loop has not looked at it yet: nothing must be lost on such a connection."""

    async def run():
        client = client_of(server.url)
        await client.score(BODY, ROWS, request_id="r")
        hang_up(sockets[0])
        [link] = client._transport._idle
        select.select([link._transport.get_extra_info("socket").fileno()], [], [], 20)
        second = await client.score(BODY, ROWS, request_id="r")
        await client.aclose()
        return second

    sockets = []

    def script(sock, _request):
        sockets.append(sock)
        sock.sendall(GOOD)

    with serving(script) as server:
        assert asyncio.run(run()).answers
    assert connections(server) == [0, 1]


def test_a_connection_in_use_is_closed_at_the_end_of_its_exchange_if_the_client_was_closed_meanwhile():
    """Otherwise, it would stay open for ever, because nobody uses an idle connection of a closed client."""

    async def run():
        client = client_of(server.url)
        asked = asyncio.create_task(client.score(BODY, ROWS, request_id="r"))
        await asyncio.to_thread(server.arrived.wait, 20)
        await client.aclose()
        may_answer.set()
        scored = await asked
        return scored, await asyncio.to_thread(closed.wait, 20)

    may_answer, closed = threading.Event(), threading.Event()

    def script(sock, _request):
        may_answer.wait(20)
        sock.sendall(GOOD)
        if sock.recv(1) == b"":
            closed.set()

    with serving(script) as server:
        scored, is_closed = asyncio.run(run())
    assert scored.answers
    assert is_closed
