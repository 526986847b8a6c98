"""The lean deployment over HTTP: the real scoring script around the simulator's model, beside the stock deployment."""

import base64
import io
import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.contract.wire.lean2d import ACCEPT, CONTENT_TYPE, MAGIC, encode_lean_request
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from tests.support.lean_script import LEAN_SCRIPT
from tests.support.servers.simulators import RunningSimulator, canvas_png, running_simulator, score_body

pytestmark = pytest.mark.slow_subject("simulator")

PROMPTS = ("tumor in abdomen CT", "liver in abdomen CT")


@pytest.fixture(scope="module")
def stock() -> Iterator[RunningSimulator]:
    with running_simulator(no_gateway=True) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def lean() -> Iterator[RunningSimulator]:
    with running_simulator(no_gateway=True, lean=LEAN_SCRIPT) as simulator:
        yield simulator


def webp(png: bytes, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).save(out, "WEBP", **{"lossless": True, "method": 0, "quality": 0, **options})
    return out.getvalue()


RGB, GRAY = canvas_png(), canvas_png("L")
IMAGES = {"an RGB PNG": RGB, "a gray PNG": GRAY, "a WebP": webp(RGB), "a WebP of gray": webp(GRAY)}


def ask(simulator: RunningSimulator, content: bytes, accept: str = ACCEPT, kind: str = CONTENT_TYPE) -> httpx.Response:
    return simulator.post(content=content, content_type=kind, accept=accept)


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_a_lean_request_gives_the_stock_answer_bit_for_bit(
    stock: RunningSimulator, lean: RunningSimulator, image: bytes
) -> None:
    article = [Row(RGB, PROMPTS), Row(RGB, PROMPTS[:1])]
    rows = [Row(image, row.prompts) for row in article]
    expected = parse_answer(stock.post(content=encode_request(article)).content, article)
    answer = ask(lean, encode_lean_request(rows))
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert len(answer.content) < 40_000
    assert parse_lean_answer(answer.content, rows) == expected


def test_the_articles_request_gets_a_lean_answer_where_it_accepts_one(
    stock: RunningSimulator, lean: RunningSimulator
) -> None:
    rows = [Row(RGB, PROMPTS)]
    body = encode_request(rows)
    answer = ask(lean, body, kind="application/json")
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert parse_lean_answer(answer.content, rows) == parse_answer(stock.post(content=body).content, rows)


def test_a_lean_request_gets_the_articles_answer_where_it_asks_for_json(lean: RunningSimulator) -> None:
    rows = [Row(GRAY, PROMPTS)]
    answer = ask(lean, encode_lean_request(rows), accept="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert parse_answer(answer.content, rows) == parse_lean_answer(ask(lean, encode_lean_request(rows)).content, rows)


def test_the_stock_deployment_answers_the_marked_request_as_any_other(stock: RunningSimulator) -> None:
    rows = [Row(RGB, PROMPTS)]
    answer = ask(stock, encode_request(rows), kind="application/json")
    assert answer.headers["content-type"] == "application/json"
    assert ask(stock, encode_lean_request(rows)).status_code == 415


def same(answer: httpx.Response) -> tuple[int, str, str, Any]:
    headers = answer.headers.get("content-type", ""), answer.headers.get("x-ms-run-function-failed", "")
    return answer.status_code, *headers, answer.text


IMAGE = base64.b64encode(RGB).decode()
ARTICLE: dict[str, Any] = {
    "a row": score_body(),
    "no index": {"input_data": {"columns": ["image", "text"], "data": [[IMAGE, "tumor"]]}},
    "no rows": score_body(data=[]),
    "a missing column": score_body([IMAGE], columns=["image"]),
    "bad base64": score_body(["%%%", "tumor"]),
    "params": {**score_body(), "params": {"a": 1}},
    "no input_data": {},
    "an array": [1],
}


@pytest.mark.parametrize("body", ARTICLE.values(), ids=ARTICLE)
def test_the_articles_request_is_answered_as_by_the_stock_deployment(
    stock: RunningSimulator, lean: RunningSimulator, body: Any
) -> None:
    assert same(lean.post(body)) == same(stock.post(body))


def test_other_methods_and_types_are_answered_as_by_the_stock_deployment(
    stock: RunningSimulator, lean: RunningSimulator
) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        ours, theirs = (httpx.request(method, one.url) for one in (lean, stock))
        assert same(ours) == same(theirs), method
    for content, kind in ((b"{}", "text/plain"), (b"", "application/json"), (b"{no", "application/json")):
        assert same(ask(lean, content, kind=kind)) == same(ask(stock, content, kind=kind)), kind


def packed(header: Any, *parts: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return MAGIC + struct.pack(">I", len(text)) + text + b"".join(parts)


def one_row(image: bytes = GRAY, parts: bytes | None = None, **changes: Any) -> bytes:
    row = {"prompts": ["liver"], "encoding": "png", "bytes": len(image), **changes}
    return packed({"version": 1, "rows": [row]}, image if parts is None else parts)


def picture(mode: str, side: int = 1024, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, kind, **options)
    return out.getvalue()


ROW = {"prompts": ["liver"], "encoding": "png", "bytes": len(GRAY)}
ANIMATED = picture("RGB", kind="WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (1024, 1024), 9)])
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "not_lean"),
    "JSON": (b'{"input_data": {}}', 400, "not_lean"),
    "only the magic": (MAGIC, 400, "not_lean"),
    "a header that is cut": (packed({"version": 1})[:-3], 400, "length_mismatch"),
    "a header of 2 MiB": (packed(b" " * (2 << 20)), 413, "header_too_large"),
    "a header that is not JSON": (packed(b"{!"), 400, "header_invalid"),
    "a header that is a list": (packed([]), 400, "header_invalid"),
    "a header nested too deeply": (packed(b"[" * 100_000), 400, "header_invalid"),
    "another version": (packed({"version": 2, "rows": []}), 415, "version_unknown"),
    "no rows": (packed({"version": 1, "rows": []}), 400, "rows_invalid"),
    "a row that is a text": (packed({"version": 1, "rows": ["x"]}), 400, "rows_invalid"),
    "257 rows": (packed({"version": 1, "rows": [{}] * 257}), 413, "too_many_rows"),
    "1,025 prompts": (one_row(prompts=["liver"] * 1025), 413, "too_many_prompts"),
    "an image of 17 MiB": (one_row(bytes=17 << 20), 413, "image_too_large"),
    "an image that is cut": (one_row(parts=GRAY[:-1]), 400, "length_mismatch"),
    "bytes behind the image": (one_row(parts=GRAY + b"x"), 400, "length_mismatch"),
    "a negative length": (one_row(bytes=-5), 400, "rows_invalid"),
    "no prompt": (one_row(prompts=[]), 400, "prompts_invalid"),
    "a prompt that is a number": (one_row(prompts=[7]), 400, "prompts_invalid"),
    "prompts that are one text": (one_row(prompts="liver"), 400, "prompts_invalid"),
    "prompts that are a number": (one_row(prompts=7), 400, "prompts_invalid"),
    "an empty prompt": (one_row(prompts=["liver", ""]), 400, "prompts_invalid"),
    "a prompt with &": (one_row(prompts=["liver & spleen"]), 400, "prompts_invalid"),
    "params that are a list": (packed({"version": 1, "params": [], "rows": [ROW]}, GRAY), 400, "params_invalid"),
    "an unknown encoding": (one_row(encoding="bmp"), 415, "encoding_unknown"),
    "no image": (one_row(b"plain words"), 400, "image_invalid"),
    "a PNG that is cut": (one_row(GRAY[:300]), 400, "image_invalid"),
    "a PNG called a WebP": (one_row(encoding="webp"), 400, "image_invalid"),
    "a lossy WebP": (one_row(picture("RGB", kind="WEBP"), encoding="webp"), 400, "image_invalid"),
    "an animated WebP": (one_row(ANIMATED, encoding="webp"), 400, "image_invalid"),
    "another size": (one_row(picture("L", 512)), 400, "image_invalid"),
    "a decompression bomb": (one_row(picture("1", 20_000)), 400, "image_invalid"),
    "a palette": (one_row(picture("P")), 400, "image_invalid"),
    "alpha": (one_row(picture("RGBA")), 400, "image_invalid"),
    "16 bits": (one_row(picture("I;16")), 400, "image_invalid"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_lean_request_is_refused_with_a_code(
    lean: RunningSimulator, content: bytes, status: int, code: str
) -> None:
    answer = ask(lean, content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]


def test_a_request_of_another_version_is_refused(lean: RunningSimulator) -> None:
    answer = ask(lean, one_row(), kind="application/vnd.maskrelay.lean2d; version=2")
    assert (answer.status_code, answer.json()["code"]) == (415, "version_unknown")


def test_a_model_that_fails_gives_the_stock_servers_500(lean: RunningSimulator) -> None:
    answer = lean.post(score_body(["", "tumor"]), accept=ACCEPT)
    assert (answer.status_code, answer.headers["x-ms-run-function-failed"]) == (500, "True")
