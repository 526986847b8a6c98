"""The simulator's bare container against the real serving stack, case by case: `make fidelity`.

Its name keeps it out of the ordinary test run, since the other side has an environment of its own. Masks are not
compared (both have a stand-in for the model), everything else is: status, headers that matter, and body.
"""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fidelity.server import real_server
from tests.support.servers.simulators import running_simulator, score_body

HEADERS = (
    *("content-type", "x-ms-run-function-failed", "x-ms-server-version"),
    *("x-request-id", "x-ms-request-id", "x-ms-client-request-id"),
)
JSON = {"content-type": "application/json"}
IDS = {"x-request-id": "theirs", "x-ms-client-request-id": "mine"}


def picture(mode: str = "RGB", side: int = 1024) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side), 90).save(out, "PNG")
    return out.getvalue()


IMAGE = base64.b64encode(picture()).decode()
ROW = [IMAGE, "tumor & liver"]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    with real_server() as real, running_simulator(no_gateway=True) as ours:
        yield real, ours.base


def without_maps(rows: list[dict[str, Any]]) -> list[Any]:
    """What two models have in common: the form of each row."""
    inner = [json.loads(row["image_features"]) for row in rows]
    return [
        (sorted(row), sorted(features), features["shape"], features["dtype"], len(row["text_features"]))
        for row, features in zip(rows, inner, strict=True)
    ]


def told(answer: httpx.Response) -> dict[str, Any]:
    """Everything of an answer that is to be equal."""
    said: dict[str, Any] = {name: answer.headers.get(name) for name in HEADERS}
    said |= {"status": answer.status_code, "timed": "x-ms-run-fn-exec-ms" in answer.headers, "body": answer.text}
    if answer.request.url.path == "/swagger.json":
        said["body"] = (answer.json()["swagger"], sorted(answer.json()["paths"]))
    elif answer.status_code == 200 and answer.text.startswith("["):
        said["body"] = without_maps(answer.json())
    return said


POSTED: dict[str, Any] = {
    "a valid row": score_body(ROW),
    "two rows": score_body(ROW, [IMAGE, "spleen"]),
    "no index": {"input_data": {"columns": ["image", "text"], "data": [ROW]}},
    "a null index": score_body(ROW, index=None),
    "swapped columns": score_body(ROW[::-1], columns=["text", "image"]),
    "an extra column": score_body([*ROW, 7], columns=["image", "text", "more"]),
    "a duplicate index": score_body(ROW, ROW, index=[4, 4]),
    "an index longer than the only row": score_body(ROW, index=[0, 1, 2]),
    "an index longer than several rows": score_body(ROW, ROW, index=[0, 1, 2]),
    "an index shorter than the rows": score_body(ROW, ROW, index=[0]),
    "an integer index": score_body(ROW, index=0),
    "params": {**score_body(ROW), "params": {"a": 1}},
    "an unknown key": {**score_body(ROW), "what": None},
    "no data": score_body(data=[]),
    "no data, no index": score_body(data=[], index=None),
    "no data, an index": score_body(data=[], index=[0]),
    "no data, no columns": {"input_data": {"data": []}},
    "line breaks in base64": score_body([base64.encodebytes(picture()).decode(), "tumor"]),
    "8-bit grayscale": score_body([base64.b64encode(picture("L")).decode(), "tumor"]),
    "an empty text": score_body([IMAGE, ""]),
    "a missing column": score_body([IMAGE], columns=["image"]),
    "a short row": score_body([IMAGE]),
    "a long row": score_body([*ROW, "more"]),
    "a null text": score_body([IMAGE, None]),
    "a numeric text": score_body([IMAGE, 7]),
    "a null image": score_body([None, "tumor"]),
    "bad base64": score_body(["%%% not base64", "tumor"]),
    "not an image": score_body([base64.b64encode(b"plain words").decode(), "tumor"]),
    "a truncated image": score_body([base64.b64encode(picture()[:200]).decode(), "tumor"]),
    "a data-URI prefix": score_body([f"data:image/png;base64,{IMAGE}", "tumor"]),
    "one bad row of many": score_body(ROW, ["", "tumor"], ROW),
    "input_data null": {"input_data": None},
    "input_data a list": {"input_data": [ROW]},
    "input_data a text": {"input_data": "tumor"},
    "no columns": {"input_data": {"index": [0], "data": [ROW]}},
    "no input_data": {},
    "another key alone": {"inputs": [ROW]},
}


@pytest.mark.parametrize("body", POSTED.values(), ids=POSTED)
def test_a_posted_body(servers: tuple[str, str], body: Any) -> None:
    real, ours = (told(httpx.post(f"{base}/score", json=body, headers=IDS, timeout=60)) for base in servers)
    assert ours == real


CALLS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "the root": ("GET", "/", {}, b""),
    "the root's head": ("HEAD", "/", {}, b""),
    "posting to the root": ("POST", "/", JSON, b"{}"),
    "the swagger page": ("GET", "/swagger.json", {}, b""),
    "GET /score": ("GET", "/score", {}, b""),
    "GET /score with a type": ("GET", "/score", JSON, b""),
    "HEAD /score": ("HEAD", "/score", {}, b""),
    "OPTIONS /score": ("OPTIONS", "/score", {}, b""),
    "PUT /score": ("PUT", "/score", JSON, b"{}"),
    "DELETE /score": ("DELETE", "/score", {}, b""),
    "another path": ("POST", "/elsewhere", JSON, b"{}"),
    "not JSON": ("POST", "/score", JSON, b"{not json"),
    "empty": ("POST", "/score", JSON, b""),
    "an array": ("POST", "/score", JSON, b"[1, 2]"),
    "a number": ("POST", "/score", JSON, b"7"),
    "null": ("POST", "/score", JSON, b"null"),
    "no UTF-8": ("POST", "/score", JSON, b'{"a": "\xff"}'),
    "no content type": ("POST", "/score", {}, b"{}"),
    "plain text": ("POST", "/score", {"content-type": "text/plain"}, b"{}"),
    "a charset": ("POST", "/score", {"content-type": "application/json; charset=utf-8"}, b"{}"),
    "another JSON type": ("POST", "/score", {"content-type": "application/ld+json"}, b"{}"),
}


@pytest.mark.parametrize(("method", "path", "headers", "content"), CALLS.values(), ids=CALLS)
def test_a_call(servers: tuple[str, str], method: str, path: str, headers: dict[str, str], content: bytes) -> None:
    sent = {**headers, **IDS}
    real, ours = (told(httpx.request(method, base + path, headers=sent, content=content)) for base in servers)
    assert ours == real


SENT_IDS: dict[str, dict[str, str]] = {
    "both": {"x-request-id": "theirs", "x-ms-client-request-id": "mine"},
    "a legacy one": {"x-request-id": "theirs", "x-ms-request-id": "old"},
    "all three": {"x-request-id": "theirs", "x-ms-request-id": "old", "x-ms-client-request-id": "mine"},
    "100 characters": {"x-request-id": "theirs", "x-ms-client-request-id": "c" * 100},
    "101 characters": {"x-request-id": "theirs", "x-ms-client-request-id": "c" * 101},
    "101 characters of the legacy one": {"x-request-id": "theirs", "x-ms-request-id": "c" * 101},
    "101 characters of the other": {"x-request-id": "c" * 101},
}


@pytest.mark.parametrize("headers", SENT_IDS.values(), ids=SENT_IDS)
def test_ids_of_a_request(servers: tuple[str, str], headers: dict[str, str]) -> None:
    body = score_body(data=[])
    real, ours = (told(httpx.post(f"{base}/score", json=body, headers=headers)) for base in servers)
    assert ours == real


def test_ids_are_made_up_where_none_came(servers: tuple[str, str]) -> None:
    for base in servers:
        headers = httpx.post(f"{base}/score", json=score_body(data=[])).headers
        assert headers["x-request-id"] == headers["x-ms-request-id"]
        assert len(headers["x-request-id"]) == 36
        assert "x-ms-client-request-id" not in headers


def test_scoring_beyond_the_containers_own_timeout() -> None:
    with (
        real_server(SCORING_TIMEOUT_MS="300", STAND_IN_SLEEP_S="5") as real,
        running_simulator(no_gateway=True, scoring_timeout=0.3, service_time=5) as ours,
    ):
        answers = [told(httpx.post(f"{base}/score", json=score_body(ROW), headers=IDS)) for base in (real, ours.base)]
    assert answers[0] == answers[1]
    assert answers[0]["body"] == '{"message": "Scoring timeout after 300 ms"}'
