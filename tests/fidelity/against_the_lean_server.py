"""The lean deployment's script in the real serving stack, beside the stock script there: `make fidelity`."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.contract.wire.lean2d import ACCEPT, CONTENT_TYPE, encode_lean_request
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from tests.contract.test_lean_deployment import IMAGES, REFUSED, RGB
from tests.fidelity.against_the_server import CALLS, IDS, POSTED, told
from tests.fidelity.server import lean_server, real_server

PROMPTS = ("tumor", "liver", "spleen")
LEAN = {"content-type": CONTENT_TYPE, "accept": ACCEPT}
#: What differs from the stock deployment: its page describes its parameters, and text that is not UTF-8 is 400 here.
DIFFERENT = {"the swagger page", "no UTF-8"}


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    with real_server() as stock, lean_server() as lean:
        yield stock, lean


def alike(answer: httpx.Response) -> dict[str, Any]:
    """What is to be equal: not the time, since our script also answers what the stock server refuses before its own."""
    return told(answer) | {"timed": None}


@pytest.mark.parametrize("body", POSTED.values(), ids=POSTED)
def test_a_posted_body_is_answered_as_by_the_stock_deployment(servers: tuple[str, str], body: Any) -> None:
    stock, lean = (httpx.post(f"{base}/score", json=body, headers=IDS, timeout=60) for base in servers)
    assert alike(lean) == alike(stock)
    assert lean.content == stock.content


@pytest.mark.parametrize("name", CALLS.keys() - DIFFERENT)
def test_a_call_is_answered_as_by_the_stock_deployment(servers: tuple[str, str], name: str) -> None:
    method, path, headers, content = CALLS[name]
    sent = {**headers, **IDS}
    stock, lean = (alike(httpx.request(method, base + path, headers=sent, content=content)) for base in servers)
    assert lean == stock


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_a_lean_request_gives_the_stock_maps_bit_for_bit(servers: tuple[str, str], image: bytes) -> None:
    article = [Row(RGB, PROMPTS), Row(RGB, PROMPTS[:1])]
    rows = [Row(image, row.prompts) for row in article]
    stock = httpx.post(
        f"{servers[0]}/score", content=encode_request(article), headers={"content-type": "application/json"}
    )
    lean = httpx.post(f"{servers[1]}/score", content=encode_lean_request(rows), headers=LEAN | IDS)
    assert (lean.status_code, lean.headers["content-type"]) == (200, CONTENT_TYPE)
    assert lean.headers["x-ms-client-request-id"] == "mine"
    assert float(lean.headers["x-ms-run-fn-exec-ms"]) > 0
    assert parse_lean_answer(lean.content, rows) == parse_answer(stock.content, article)


def test_the_articles_request_gets_a_lean_answer_where_it_accepts_one(servers: tuple[str, str]) -> None:
    rows = [Row(RGB, PROMPTS)]
    sent = {"content-type": "application/json", "accept": ACCEPT}
    stock, lean = (httpx.post(f"{base}/score", content=encode_request(rows), headers=sent) for base in servers)
    assert [stock.headers["content-type"], lean.headers["content-type"]] == ["application/json", CONTENT_TYPE]
    assert parse_lean_answer(lean.content, rows) == parse_answer(stock.content, rows)


@pytest.mark.parametrize(("content", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_lean_request_is_refused_with_a_code(
    servers: tuple[str, str], content: bytes, status: int, code: str
) -> None:
    answer = httpx.post(f"{servers[1]}/score", content=content, headers=LEAN)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_stock_deployment_refuses_a_lean_request_as_our_client_expects(servers: tuple[str, str]) -> None:
    answer = httpx.post(f"{servers[0]}/score", content=encode_lean_request([Row(RGB, PROMPTS)]), headers=LEAN)
    assert answer.status_code == 415
