"""No answer takes more memory or time than its limit, whoever sends it."""

import asyncio
import gzip
import time
import zlib

import pytest

from api.auth.jwks import IssuerKeys
from maskrelay.client import Client
from maskrelay.errors import AnswerInvalid, EndpointUnavailable, IssuerUnavailable, ServiceAnswerUnknown
from maskrelay.scoring.token_sources import ControlPlane
from maskrelay.scoring.tokens import RenewedToken, Token
from tests.integration.scoring.scoring_cases import score, sends
from tests.support.servers.scripted_server import http, serving

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n"
BOMB = gzip.compress(b"[" + bytes(80 << 20) + b"]", 1)


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[place : place + size] for place in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def endless(start: bytes, again: bytes):
    def script(sock, _request):
        sock.sendall(start)
        while True:
            sock.sendall(again)

    return script


LARGE = {
    "gzip of known length": sends(http(200, BOMB, content_encoding="gzip")),
    "gzip in chunks": sends(CHUNKED + b"content-encoding: gzip\r\n\r\n" + chunked(BOMB, 5000)),
    "gzip until the end": sends(HEAD + b"content-encoding: gzip\r\nconnection: close\r\n\r\n" + BOMB),
    "gzip of several members": sends(http(200, gzip.compress(b"[" + bytes(600_000)) * 2, content_encoding="gzip")),
    "a length above the limit": endless(HEAD + b"content-length: 9000000000\r\n\r\n", b"[" * 65536),
    "no length": endless(CHUNKED + b"\r\n", b"1000\r\n" + bytes(4096) + b"\r\n"),
}


@pytest.mark.parametrize("name", LARGE)
def test_an_answer_larger_than_its_limit_is_refused_however_it_comes(name: str):
    with serving(LARGE[name]) as server:
        error = score(server.url, max_answer_bytes=1 << 20)
    assert isinstance(error, AnswerInvalid)
    assert error.kind == "too_large"


ENDLESS = {
    "headers": endless(HEAD, b"x-more: " + b"y" * 8000 + b"\r\n"),
    "one header": endless(HEAD + b"x-more: ", b"y" * 8000),
    "trailers": endless(CHUNKED + b"\r\n2\r\n[]\r\n0\r\n", b"x-more: " + b"y" * 8000 + b"\r\n"),
    "a chunk's extension": endless(CHUNKED + b"\r\n2;", b"y" * 8000),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_beside_the_body_is_a_lost_connection(name: str):
    with serving(ENDLESS[name]) as server:
        error = score(server.url, max_answer_bytes=1 << 20)
    assert isinstance(error, EndpointUnavailable)
    assert error.kind == "connection_lost"


def test_countless_tiny_chunks_are_given_up_long_before_the_limit():
    with serving(sends(CHUNKED + b"\r\n" + b"1\r\n[\r\n" * (1 << 20) + b"0\r\n\r\n")) as server:
        assert score(server.url).kind == "garbled"


def test_deflate_was_not_asked_for():
    with serving(sends(http(200, zlib.compress(b"[]"), content_encoding="deflate"))) as server:
        assert score(server.url).kind == "encoding"


class Opener:
    async def fetch(self) -> Token:
        return Token("opener", time.time() + 900, time.time() + 1000)


def asked(url: str) -> None:
    with Client(url, "k") as client:
        client.endpoints()


SMALL = gzip.compress(bytes(300 << 20))
WAYS = {
    "aml_token": (lambda url: asyncio.run(ControlPlane(url, RenewedToken(Opener())).fetch()), EndpointUnavailable),
    "issuer": (lambda url: asyncio.run(IssuerKeys(url).key("k")), IssuerUnavailable),
    "client": (asked, ServiceAnswerUnknown),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_other_answer_has_a_limit_too(way: str):
    ask, error = WAYS[way]
    with serving(sends(http(200, SMALL, content_encoding="gzip"))) as server, pytest.raises(error):
        ask(server.url.removesuffix("/score"))


def test_an_issuer_that_drips_is_given_up_as_a_whole(monkeypatch):
    monkeypatch.setattr("api.auth.jwks.TOTAL_S", 0.2)

    def script(sock, _request):
        sock.sendall(HEAD + b"content-length: 1000\r\n\r\n")
        while not server.released.wait(0.01):
            sock.sendall(b" ")

    with serving(script) as server, pytest.raises(IssuerUnavailable):
        asyncio.run(IssuerKeys(server.url).key("k"))
