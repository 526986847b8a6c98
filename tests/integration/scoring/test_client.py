"""The scoring client against a real HTTP server: what it sends, and what it makes of good answers."""

import asyncio
import gzip

import pytest

from maskrelay.endpoints import Endpoint
from maskrelay.errors import (
    AnswerInvalid,
    SettingsError,
)
from maskrelay.scoring.credentials import credential_of
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
from tests.support.servers.scripted_server import http, serving


def test_a_good_answer_comes_with_its_seconds_bytes_and_headers():
    kept = {"x_request_id": "abc", "x_ms_run_fn_exec_ms": "12.5", "azureml_model_deployment": "blue", "server": "x"}
    with serving(sends(http(200, ANSWER, **kept))) as server:
        scored = score(server.url)
    [answer] = scored.answers
    assert (answer.maps.raw, answer.categories) == (MAPS, ("eye anatomies",) * 2)
    assert (scored.bytes_up, scored.bytes_down) == (len(BODY), len(ANSWER))
    assert scored.seconds >= scored.body_seconds >= 0
    assert scored.headers == {"x-request-id": "abc", "x-ms-run-fn-exec-ms": "12.5", "azureml-model-deployment": "blue"}


def test_the_request_is_the_contracts():
    with serving(sends(GOOD)) as server:
        score(server.url)
    [seen] = server.seen
    assert seen.line == "POST /score HTTP/1.1"
    assert seen.body == BODY
    sent = {name: seen.headers[name] for name in ("content-type", "accept", "accept-encoding", "authorization")}
    assert sent == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "authorization": f"Bearer {KEY}",
    }
    assert seen.headers["x-ms-client-request-id"] == "r-1"
    assert not {"azureml-model-deployment", "traceparent", "cookie"} & seen.headers.keys()


def test_a_pinned_deployment_and_a_trace_are_named():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with serving(sends(GOOD)) as server:
        score(server.url, deployment="green", traceparent=trace)
    assert server.seen[0].headers["azureml-model-deployment"] == "green"
    assert server.seen[0].headers["traceparent"] == trace


@pytest.mark.parametrize("trace", ["", "00-zz", "a\r\nx-evil: 1", "00-é"])
def test_what_is_no_trace_is_not_sent(trace):
    with serving(sends(GOOD)) as server:
        score(server.url, traceparent=trace)
    assert not {"traceparent", "x-evil"} & server.seen[0].headers.keys()


def test_a_request_id_is_cut_to_what_the_container_takes():
    with serving(sends(GOOD)) as server:
        score(server.url, request_id="j b\r\né" + "7" * 200)
    assert server.seen[0].headers["x-ms-client-request-id"] == "j-b---" + "7" * 94


def test_gzip_is_decoded_and_counted_as_it_came():
    packed = gzip.compress(ANSWER)
    with serving(sends(http(200, packed, content_encoding="gzip"))) as server:
        scored = score(server.url)
    assert scored.answers[0].maps.raw == MAPS
    assert scored.bytes_down == len(packed) < len(ANSWER) / 50


def test_connections_are_kept_for_the_next_score():
    with serving(sends(GOOD)) as server:
        score(server.url, times=3)
    assert [seen.connection for seen in server.seen] == [0, 0, 0]


def test_cookies_are_not_kept():
    with serving(sends(http(200, ANSWER, set_cookie="affinity=1; path=/"))) as server:
        score(server.url, times=2)
    assert ["cookie" in seen.headers for seen in server.seen] == [False, False]


def test_scores_at_once_share_the_connections_there_are():
    async def run():
        client = client_of(server.url)
        scores = (client.score(BODY, ROWS, request_id=str(number)) for number in range(20))
        outcomes = await asyncio.gather(*scores, return_exceptions=True)
        await client.aclose()
        return outcomes

    with serving(sends(http(200, b"[]"))) as server:
        outcomes = asyncio.run(run())
    assert {type(outcome) for outcome in outcomes} == {AnswerInvalid}
    assert {seen.connection for seen in server.seen} == {0, 1}
    assert sorted(int(seen.headers["x-ms-client-request-id"]) for seen in server.seen) == list(range(20))


@pytest.mark.parametrize("key", ["", "line\n", "two words", "schlüssel"])
def test_a_key_that_no_header_carries_is_refused_without_being_told(key):
    with pytest.raises(SettingsError) as caught:
        credential_of(Endpoint(url="http://localhost/score", key=key))
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "localhost/score", "ftp://host/score", "http://", "http://u:p@host/", "http://host:port/"]
)
def test_a_url_that_cannot_be_asked_is_refused(url):
    with pytest.raises(SettingsError) as caught:
        client_of(url)
    assert caught.value.__context__ is None


def test_the_key_is_not_in_the_clients_own_text():
    client = client_of("http://localhost/score")
    assert KEY not in f"{client!r} {vars(client)}"
