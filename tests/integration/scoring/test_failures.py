"""The scoring client against a real HTTP server that answers badly, late or not at all."""

import asyncio
import gzip
import logging
import socket

import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.errors import (
    AnswerInvalid,
    EndpointDenied,
    EndpointError,
    EndpointThrottled,
    EndpointTimeout,
    EndpointUnavailable,
    RequestTooLarge,
    ScoringFailed,
)
from tests.integration.scoring.scoring_cases import (
    ANSWER,
    BODY,
    GOOD,
    KEY,
    MAPS,
    ROWS,
    client_of,
    score,
    sends,
)
from tests.support.servers.scripted_server import (
    hang_up,
    http,
    reset,
    serving,
)


def failed(script, *, reads_body=True, **more):
    with serving(script, reads_body=reads_body) as server:
        error = score(server.url, **more)
    assert isinstance(error, EndpointError)
    return error


def sorted_as(error):
    return type(error), error.kind, error.still_working


BOMB = gzip.compress(b"[" + b" " * 30_000_000)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BROKEN = {
    "over the cap": (sends(http(200, b"[" + b" " * 3_000_000)), (AnswerInvalid, "too_large", False)),
    "over the cap when decoded": (sends(http(200, BOMB, content_encoding="gzip")), (AnswerInvalid, "too_large", False)),
    "endless": (
        sends(CHUNKED, *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 100),
        (AnswerInvalid, "too_large", False),
    ),
    "no contract": (sends(http(200, b"[]")), (AnswerInvalid, "row_count", False)),
    "encoded twice": (
        sends(http(200, gzip.compress(gzip.compress(ANSWER)), content_encoding="gzip, gzip")),
        (EndpointUnavailable, "encoding", False),
    ),
    "no gzip": (sends(http(200, ANSWER, content_encoding="gzip")), (EndpointUnavailable, "garbled", False)),
    "gzip cut short": (
        sends(http(200, gzip.compress(ANSWER)[:-1000], content_encoding="gzip")),
        (EndpointUnavailable, "truncated", False),
    ),
    "cut JSON": (sends(http(200, ANSWER[:-9])), (EndpointUnavailable, "truncated", False)),
    "empty": (sends(http(200, b"")), (EndpointUnavailable, "empty", False)),
    "web page": (sends(http(200, b"<html>", content_type="text/html")), (EndpointUnavailable, "html", False)),
    "reset before the answer": (sends(reset), (EndpointUnavailable, "connection_lost", True)),
    "hung up before the answer": (sends(hang_up), (EndpointUnavailable, "connection_lost", True)),
    "reset in the body": (sends(GOOD[:5000], reset), (EndpointUnavailable, "connection_lost", True)),
    "shorter than its length": (sends(GOOD[:5000], hang_up), (EndpointUnavailable, "connection_lost", True)),
    "chunks that end early": (
        sends(CHUNKED, b"3\r\n[{}\r\n", hang_up),
        (EndpointUnavailable, "connection_lost", True),
    ),
    "no HTTP": (sends(b"SSH-2.0-OpenSSH_9\r\n", hang_up), (EndpointUnavailable, "connection_lost", True)),
    "huge header": (
        sends(http(200, ANSWER, x_huge="h" * 300_000)),
        (EndpointUnavailable, "connection_lost", True),
    ),
    "denied": (sends(http(401, b"{}")), (EndpointDenied, "unauthorized", False)),
    "too large": (sends(http(413, b"{}")), (RequestTooLarge, "too_large", False)),
    "request timeout": (sends(http(408, b"{}")), (EndpointTimeout, "request_timeout", True)),
    "model error": (
        sends(http(424, b"{}", ms_azureml_model_error_statuscode="500")),
        (ScoringFailed, "model_error", False),
    ),
    "rate": (sends(http(429, b"Rate-limited")), (EndpointThrottled, "rate", False)),
    "error with an odd encoding": (
        sends(http(503, b"{}", content_encoding="br")),
        (EndpointUnavailable, "unavailable", False),
    ),
    "error with an endless body": (
        sends(CHUNKED.replace(b"200 OK", b"502 Bad"), *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 100),
        (EndpointUnavailable, "bad_gateway", False),
    ),
}


@pytest.mark.parametrize(("script", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_answer_is_one_coded_error_that_never_tells_the_key(script, expected, caplog):
    caplog.set_level(logging.DEBUG)
    error = failed(script, max_answer_bytes=2_900_000)
    assert sorted_as(error) == expected
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in f"{error!r} {error} {vars(error)} {caplog.text}"


def test_nothing_is_sent_twice():
    with serving(sends(reset)) as server:
        score(server.url)
    assert len(server.seen) == 1


def test_a_redirect_is_not_followed():
    with serving(sends(GOOD)) as target:
        error = failed(sends(http(307, b"", location=target.url)))
    assert sorted_as(error) == (EndpointUnavailable, "redirect", False)
    assert target.seen == []


def test_retry_after_is_passed_on():
    error = failed(sends(http(429, b"Too many pending requests", retry_after="7")))
    assert (error.retry_after_s, error.kind) == (7.0, "pending")


def test_an_answer_that_never_comes_is_a_timeout_and_the_slot_stays_taken():
    with serving(lambda _sock, _request: server.released.wait()) as server:
        error = score(server.url, timeout_s=0.2)
    assert sorted_as(error) == (EndpointTimeout, "client_timeout", True)


def test_a_body_that_drips_is_cut_off_by_the_total_time():
    def drip(sock, _request):
        sock.sendall(http(200, b"", length=1_000_000))
        while not server.released.wait(0.01):
            sock.sendall(b" ")

    with serving(drip) as server:
        error = score(server.url, timeout_s=0.3)
        assert server.hung_up.wait(20)
    assert sorted_as(error) == (EndpointTimeout, "client_timeout", True)


def test_a_refusal_before_the_body_was_read_is_heard():
    def refuse(sock, _request):
        sock.sendall(http(413, b"{}", connection="close"))
        while sock.recv(1 << 20):
            pass

    with serving(refuse, reads_body=False) as server:
        error = score(server.url, [Row(b"x" * 8_000_000, ("liver",))])
    assert isinstance(error, RequestTooLarge)


def test_an_endpoint_that_is_not_there_is_unavailable_and_holds_no_slot():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        error = score(f"http://127.0.0.1:{taken.getsockname()[1]}/score")
    assert sorted_as(error) == (EndpointUnavailable, "connect", False)


def test_after_a_failure_the_next_score_is_good():
    answers = [http(200, b"<html>"), GOOD[:5000], http(503, b"{}"), GOOD]

    def script(sock, _request):
        answer = answers.pop(0)
        sock.sendall(answer)
        if answer == GOOD[:5000]:
            reset(sock)

    async def run():
        client = client_of(server.url)
        kinds = []
        for _ in range(3):
            with pytest.raises(EndpointUnavailable) as caught:
                await client.score(BODY, ROWS, request_id="r")
            kinds.append(caught.value.kind)
        scored = await client.score(BODY, ROWS, request_id="r")
        await client.aclose()
        return kinds, scored

    with serving(script) as server:
        kinds, scored = asyncio.run(run())
    assert kinds == ["html", "connection_lost", "unavailable"]
    assert scored.answers[0].maps.raw == MAPS


def test_a_cancelled_score_ends_as_cancelled_and_hangs_up():
    def drip(sock, _request):
        sock.sendall(http(200, b"", length=1_000_000))
        while not server.released.wait(0.01):
            sock.sendall(b" ")

    async def run():
        client = client_of(server.url)
        task = asyncio.create_task(client.score(BODY, ROWS, request_id="r"))
        await asyncio.to_thread(server.arrived.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hung_up = await asyncio.to_thread(server.hung_up.wait, 20)
        await client.aclose()
        return hung_up

    with serving(drip) as server:
        assert asyncio.run(run())
