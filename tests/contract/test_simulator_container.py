"""CONTRACT.md, "The container behind the gateway", row by row, over real HTTP against the bare container."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.servers.simulators import (
    RunningSimulator,
    canvas_png,
    running_simulator,
    score_body,
)

pytestmark = pytest.mark.slow_subject("simulator")

IMAGE = base64.b64encode(canvas_png()).decode()
SCRIPT_FAILED = {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}


@pytest.fixture(scope="module")
def container() -> Iterator[RunningSimulator]:
    with running_simulator(no_gateway=True) as simulator:
        yield simulator


def test_the_root_is_healthy(container: RunningSimulator) -> None:
    answer = httpx.get(container.base)
    assert (answer.status_code, answer.text) == (200, "Healthy")
    assert answer.headers["content-type"].startswith("text/html")


def test_the_swagger_page_is_there(container: RunningSimulator) -> None:
    answer = httpx.get(f"{container.base}/swagger.json")
    assert answer.status_code == 200
    assert answer.json()["swagger"] == "2.0"


def test_a_valid_post_answers_with_every_header_of_the_contract(container: RunningSimulator) -> None:
    answer = container.post(score_body(), x_ms_client_request_id="mine", x_request_id="theirs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert float(answer.headers["x-ms-run-fn-exec-ms"]) > 0
    assert answer.headers["x-ms-server-version"]
    assert answer.headers["x-request-id"] == "theirs"
    assert answer.headers["x-ms-request-id"] == "mine"
    assert answer.headers["x-ms-client-request-id"] == "mine"


def test_ids_are_made_when_none_are_given(container: RunningSimulator) -> None:
    headers = container.post(score_body(data=[])).headers
    assert headers["x-request-id"] == headers["x-ms-request-id"] != ""
    assert "x-ms-client-request-id" not in headers


def test_a_row_holds_features_as_json_within_json_and_one_word_a_prompt(container: RunningSimulator) -> None:
    rows = container.post(score_body([IMAGE, "tumor & liver & nothing we know"])).json()
    assert [sorted(row) for row in rows] == [["image_features", "text_features"]]
    features = json.loads(rows[0]["image_features"])
    assert (features["shape"], features["dtype"]) == ([3, 1024, 1024], "uint8")
    assert len(base64.b64decode(features["data"], validate=True)) == 3 * 1024 * 1024
    assert rows[0]["text_features"] == ["tumor", "liver", "other"]


TOLERATED: list[tuple[str, dict[str, Any], int]] = [
    ("no index", {"input_data": {"columns": ["image", "text"], "data": [[IMAGE, "tumor"]]}}, 1),
    ("swapped columns", score_body(["tumor", IMAGE], columns=["text", "image"]), 1),
    ("an extra column", score_body([IMAGE, "tumor", 7], columns=["image", "text", "more"]), 1),
    ("a duplicate index", score_body([IMAGE, "tumor"], [IMAGE, "liver"], index=[4, 4]), 2),
    ("an index longer than data", score_body([IMAGE, "tumor"], index=[0, 1, 2]), 3),
    ("unknown top-level keys", {**score_body(), "params": {"a": 1}, "what": None}, 1),
    ("line breaks in base64", score_body([base64.encodebytes(canvas_png()).decode(), "tumor"]), 1),
    ("8-bit grayscale", score_body([base64.b64encode(canvas_png("L")).decode(), "tumor"]), 1),
]


@pytest.mark.parametrize(("body", "count"), [row[1:] for row in TOLERATED], ids=[row[0] for row in TOLERATED])
def test_what_the_contract_tolerates_is_answered(container: RunningSimulator, body: Any, count: int) -> None:
    answer = container.post(body)
    assert answer.status_code == 200
    assert len(answer.json()) == count


def test_an_index_longer_than_data_repeats_the_row(container: RunningSimulator) -> None:
    rows = container.post(score_body(index=[0, 1])).json()
    assert rows[0] == rows[1]


def test_swapped_columns_mean_the_same(container: RunningSimulator) -> None:
    swapped = container.post(score_body(["tumor", IMAGE], columns=["text", "image"]))
    assert swapped.json() == container.post(score_body([IMAGE, "tumor"])).json()


def test_no_data_gives_no_rows(container: RunningSimulator) -> None:
    answer = container.post(score_body(data=[]))
    assert (answer.status_code, answer.text) == (200, "[]")


BROKEN: dict[str, dict[str, Any]] = {
    "a missing column": score_body([IMAGE], columns=["image"]),
    "a short row": score_body([IMAGE]),
    "a null text": score_body([IMAGE, None]),
    "a numeric text": score_body([IMAGE, 7]),
    "bad base64": score_body(["%%% not base64", "tumor"]),
    "not an image": score_body([base64.b64encode(b"plain words").decode(), "tumor"]),
    "a truncated image": score_body([base64.b64encode(canvas_png()[:2000]).decode(), "tumor"]),
    "a data-URI prefix": score_body([f"data:image/png;base64,{IMAGE}", "tumor"]),
    "one bad row of many": score_body([IMAGE, "tumor"], ["", "tumor"], [IMAGE, "tumor"]),
    "no data under an index": score_body(data=[], index=[0]),
    "an integer index": score_body([IMAGE, "tumor"], index=0),
    "an index longer than several rows": score_body([IMAGE, "tumor"], [IMAGE, "tumor"], index=[0, 1, 2]),
    "input_data null": {"input_data": None},
    "input_data a list": {"input_data": [[IMAGE, "tumor"]]},
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_script_is_one_message(container: RunningSimulator, body: Any) -> None:
    answer = container.post(body)
    assert (answer.status_code, answer.json()) == (500, SCRIPT_FAILED)
    assert answer.headers["x-ms-run-function-failed"] == "True"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_without_input_data_is_refused_by_that_name(container: RunningSimulator, method: str) -> None:
    json_type = {"content-type": "application/json"}
    answer = httpx.request(method, container.url, content=b"{}" if method == "POST" else None, headers=json_type)
    assert answer.status_code == 400
    assert answer.json() == {"message": "A value is not provided for the 'input_data' parameter."}


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{not json", "could not be decoded as JSON"), (b"", "is empty"), (b"[1, 2]", "should be a JSON dictionary")],
)
def test_a_body_that_is_no_json_object_is_refused_saying_which(
    container: RunningSimulator, content: bytes, words: str
) -> None:
    answer = container.post(content=content)
    assert answer.status_code == 400
    assert words in answer.json()["message"]


def test_a_body_of_another_type_is_refused(container: RunningSimulator) -> None:
    answer = container.post(score_body(data=[]), content_type="text/plain")
    assert answer.status_code == 415
    assert answer.json() == {"message": "Expects Content-Type to be application/json"}


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/score", 405), ("POST", "/elsewhere", 404)])
def test_another_method_or_path_is_refused(container: RunningSimulator, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, container.base + path)
    assert answer.status_code == status
    assert list(answer.json()) == ["message"]


@pytest.mark.parametrize(("length", "status"), [(100, 200), (101, 431)])
def test_a_client_request_id_has_at_most_100_characters(container: RunningSimulator, length: int, status: int) -> None:
    assert container.post(score_body(data=[]), x_ms_client_request_id="c" * length).status_code == status


def test_scoring_beyond_the_containers_own_timeout_says_how_long_it_was() -> None:
    with running_simulator(no_gateway=True, scoring_timeout=0.2, service_time=5) as slow:
        answer = slow.post(score_body())
    assert (answer.status_code, answer.json()) == (500, {"message": "Scoring timeout after 200 ms"})
    assert answer.headers["x-ms-run-function-failed"] == "True"


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("identity", None)])
def test_gzip_is_used_only_where_switched_on_and_accepted(accepted: str, encoding: str | None) -> None:
    with running_simulator(no_gateway=True, gzip=True) as compressing:
        answer = compressing.post(score_body(), accept_encoding=accepted)
        assert answer.headers.get("content-encoding") == encoding
        assert len(answer.json()) == 1
        assert compressing.counters()["bytes_out"] == int(answer.headers["content-length"])


def test_without_the_switch_answers_are_plain(container: RunningSimulator) -> None:
    assert "content-encoding" not in container.post(score_body(), accept_encoding="gzip").headers
