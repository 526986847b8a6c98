"""`--canned`: the same gateway and the same container's rules, with answers made ready at start."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from simulator.canned import without_images
from tests.support.servers.simulators import (
    RunningSimulator,
    canvas_png,
    eventually,
    running_simulator,
    score_body,
)

pytestmark = pytest.mark.slow_subject("simulator")

IMAGE = base64.b64encode(canvas_png()).decode()


@pytest.fixture(scope="module")
def canned() -> Iterator[RunningSimulator]:
    with running_simulator(canned=True) as simulator:
        yield simulator


def maps_of(row: dict[str, Any]) -> np.ndarray:
    features = json.loads(row["image_features"])
    return np.frombuffer(base64.b64decode(features["data"]), features["dtype"]).reshape(features["shape"])


@pytest.mark.parametrize("prompts", [1, 2, 3, 5])
def test_there_are_as_many_maps_and_words_as_prompts(canned: RunningSimulator, prompts: int) -> None:
    rows = canned.post(score_body([IMAGE, " & ".join(["tumor"] * prompts)])).json()
    assert [maps_of(row).shape for row in rows] == [(prompts, 1024, 1024)]
    assert len(rows[0]["text_features"]) == prompts


def test_the_maps_are_real_ones_with_soft_edges(canned: RunningSimulator) -> None:
    rows = canned.post(score_body([IMAGE, "a & b"])).json()
    first, second = maps_of(rows[0])
    for one in (first, second):
        assert one.max() >= 192
        assert ((one > 20) & (one < 108)).any()
    assert not np.array_equal(first, second)


def test_every_row_of_a_pack_has_its_own_number_of_maps(canned: RunningSimulator) -> None:
    texts = ["a", "b & c", "d & e & f", "g & h & i & j", "k"]
    rows = canned.post(score_body(*([IMAGE, text] for text in texts))).json()
    assert [maps_of(row).shape[0] for row in rows] == [1, 2, 3, 4, 1]


TOLERATED: dict[str, tuple[dict[str, Any], list[int]]] = {
    "swapped columns": (score_body(["a & b", IMAGE], columns=["text", "image"]), [2]),
    "an index longer than data": (score_body([IMAGE, "a & b"], index=[0, 1]), [2, 2]),
    "a long index": (score_body(*([IMAGE[:4], "a"] for _ in range(256))), [1] * 256),
    "quotes in a prompt": (score_body([IMAGE, 'the "big" one & \\"'], [IMAGE, "x"]), [2, 1]),
    "a very long prompt": (score_body([IMAGE, "a" * 5000 + " & b"]), [2]),
    "line breaks in base64": (score_body([base64.encodebytes(canvas_png()).decode(), "a & b"]), [2]),
    "no data": (score_body(data=[]), []),
}


@pytest.mark.parametrize(("body", "counts"), TOLERATED.values(), ids=TOLERATED)
def test_what_the_container_tolerates_is_counted_right(
    canned: RunningSimulator, body: dict[str, Any], counts: list[int]
) -> None:
    answer = canned.post(body)
    assert answer.status_code == 200
    assert [len(row["text_features"]) for row in answer.json()] == counts


def test_spaces_between_the_values_do_not_matter(canned: RunningSimulator) -> None:
    content = json.dumps(score_body([IMAGE, "a & b"], [IMAGE, "c"]), indent=2500).encode()
    assert [len(row["text_features"]) for row in canned.post(content=content).json()] == [2, 1]


@pytest.mark.parametrize(
    ("body", "inner"),
    [(score_body([IMAGE, None]), "500"), (score_body([IMAGE, "a"], index=0), "500"), ({}, "400")],
    ids=["a null text", "an integer index", "no input_data"],
)
def test_what_the_container_refuses_is_refused(canned: RunningSimulator, body: dict[str, Any], inner: str) -> None:
    answer = canned.post(body)
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, inner)


def test_the_gateways_rules_hold(canned: RunningSimulator) -> None:
    assert canned.post(score_body(), authorization="Bearer wrong").status_code == 401
    assert canned.post(score_body(), azureml_model_deployment="green").status_code == 404


def test_a_full_line_is_429_and_work_goes_on_after_408() -> None:
    with (
        running_simulator(canned=True, service_time=1.5, request_timeout=0.3) as busy,
        ThreadPoolExecutor(2) as callers,
    ):
        waiting = [callers.submit(busy.post, score_body()) for _ in range(2)]
        assert eventually(lambda: busy.counters()["pending"] == 2)
        refused = busy.post(score_body())
        assert [caller.result().status_code for caller in waiting] == [408, 408]
        assert eventually(lambda: busy.counters()["pending"] == 0)
        counters = busy.counters()
    assert (refused.status_code, counters["rows"], counters["max_pending"]) == (429, 2, 2)
    assert counters["refused"] == {"pending": 1, "timeout": 2}


def test_faults_and_gzip_are_the_same_ones() -> None:
    with running_simulator(canned=True, gzip=True) as canned:
        plain = canned.post(score_body(), accept_encoding="identity")
        small = canned.post(score_body(), accept_encoding="gzip")
        canned.set(fail={"status": "short_count", "times": 1})
        short = canned.post(score_body([IMAGE, "a"], [IMAGE, "b"]), accept_encoding="identity")
        assert small.headers["content-encoding"] == "gzip"
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 10
        assert (small.json(), len(short.json())) == (plain.json(), 1)


def test_a_body_without_its_images_is_the_same_json() -> None:
    body = score_body([IMAGE, "a & b"], [IMAGE, "c"])
    read = json.loads(without_images(json.dumps(body).encode()))
    assert read == score_body(["", "a & b"], ["", "c"])
