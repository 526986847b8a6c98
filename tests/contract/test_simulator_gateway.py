"""CONTRACT.md, "The gateway in front", row by row, and the faults that stand for the infrastructure."""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

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
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator(deployment="blue") as simulator:
        yield simulator


@pytest.fixture
def faulty(endpoint: RunningSimulator) -> Iterator[RunningSimulator]:
    yield endpoint
    endpoint.set(fail=None, traffic=True)


def test_a_request_with_the_key_is_answered_as_by_the_container(endpoint: RunningSimulator) -> None:
    answer = endpoint.post(score_body(), x_ms_client_request_id="mine")
    assert answer.status_code == 200
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert len(answer.json()) == 1


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic simulator-key", "simulator-key"])
def test_a_wrong_token_is_401(endpoint: RunningSimulator, authorization: str) -> None:
    assert endpoint.post(score_body(), authorization=authorization).status_code == 401


def test_no_permission_is_403(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": 403})
    assert faulty.post(score_body()).status_code == 403


@pytest.mark.parametrize("path", ["/", "/swagger.json"])
def test_health_and_swagger_need_no_key(endpoint: RunningSimulator, path: str) -> None:
    assert httpx.get(endpoint.base + path).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("blue", 200), ("green", 404)])
def test_a_pinned_deployment_must_exist(endpoint: RunningSimulator, name: str, status: int) -> None:
    assert endpoint.post(score_body(data=[]), azureml_model_deployment=name).status_code == status


def test_without_traffic_only_a_pinned_deployment_answers(faulty: RunningSimulator) -> None:
    faulty.set(traffic=False)
    assert faulty.post(score_body(data=[])).status_code == 404
    assert faulty.post(score_body(data=[]), azureml_model_deployment="blue").status_code == 200


def test_beyond_the_request_timeout_is_408_and_the_container_goes_on_working() -> None:
    with running_simulator(request_timeout=0.2, service_time=1) as slow:
        assert slow.post(score_body()).status_code == 408
        assert slow.counters()["in_flight"] == 1
        assert eventually(lambda: slow.counters()["in_flight"] == 0)
        counters = slow.counters()
    assert (counters["rows"], counters["answers"]) == (1, {"408": 1})


def test_a_body_over_100_mb_is_413(endpoint: RunningSimulator) -> None:
    assert endpoint.post(content=b" " * (100 * 1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [(score_body([IMAGE, None]), "500"), ({}, "400"), (score_body(index=0), "500")],
    ids=["the script failed", "no input_data", "an integer index"],
)
def test_what_the_container_refuses_is_424_around_its_answer(endpoint: RunningSimulator, body: Any, code: str) -> None:
    answer = endpoint.post(body, x_ms_client_request_id="mine")
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == code
    assert answer.headers["ms-azureml-model-error-reason"] == answer.json()["message"]
    assert answer.headers["x-ms-run-function-failed"] == ("True" if code == "500" else "False")
    assert answer.headers["x-ms-client-request-id"] == "mine"


@pytest.mark.parametrize("inner", [400, 413, 415, 429, 500, 502, 503, 504])
def test_a_fault_of_the_model_is_424_with_the_inner_status(faulty: RunningSimulator, inner: int) -> None:
    faulty.set(fail={"status": 424, "inner_status": inner})
    answer = faulty.post(score_body())
    assert (answer.status_code, answer.headers["ms-azureml-model-error-statuscode"]) == (424, str(inner))


def test_more_than_twice_what_is_worked_on_at_once_is_429() -> None:
    with running_simulator(service_time=1.5) as busy, ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(busy.post, score_body()) for _ in range(2)]
        assert eventually(lambda: busy.counters()["pending"] == 2)
        refused = busy.post(score_body())
        assert [caller.result().status_code for caller in waiting] == [200, 200]
    assert refused.status_code == 429
    assert "too many pending" in refused.text.lower()


def test_over_the_rate_is_the_other_429() -> None:
    with running_simulator(requests_per_s=1) as narrow, ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda _: narrow.post(score_body(data=[])), range(6)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all("rate-limited" in answer.text.lower() for answer in refused)


def test_instances_times_concurrency_are_worked_on_at_once_and_the_rest_waits() -> None:
    with running_simulator(max_concurrent=2, instances=2, service_time=0.5) as wide, ThreadPoolExecutor(7) as callers:
        answers = list(callers.map(lambda _: wide.post(score_body()), range(7)))
        counters = wide.counters()
    assert {answer.status_code for answer in answers} == {200}
    assert (counters["max_in_flight"], counters["in_flight"], counters["scores"]) == (4, 0, 7)
    assert counters["busy_seconds"] >= 7 * 0.5


@pytest.mark.parametrize("status", [404, 408, 429, 500, 502, 503, 504])
def test_a_status_can_be_asked_for_so_many_times(faulty: RunningSimulator, status: int) -> None:
    faulty.set(fail={"status": status, "times": 2, "retry_after": 7})
    answers = [faulty.post(score_body(data=[])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].headers["retry-after"] == "7"


def test_a_fault_can_be_kept_for_one_prompt(faulty: RunningSimulator) -> None:
    faulty.set(fail=[{"status": 503, "when_prompt": "optic cup"}, {"status": 500, "when_prompt": "spleen"}])
    prompts = ["optic disc", "optic cup in retinal fundus", "spleen"]
    assert [faulty.post(score_body([IMAGE, prompt])).status_code for prompt in prompts] == [200, 503, 500]


def test_a_reset_ends_the_connection_without_an_answer(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": "reset"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        faulty.post(score_body())


def test_a_truncated_body_ends_before_its_length(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": "truncated"})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        faulty.post(score_body())


def test_an_html_page_can_stand_in_for_an_answer(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": "html"})
    answer = faulty.post(score_body())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert answer.text.startswith("<html>")


def test_an_answer_can_be_a_row_short(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": "short_count"})
    assert len(faulty.post(score_body([IMAGE, "tumor"], [IMAGE, "liver"])).json()) == 1


def test_an_answer_can_name_a_dtype_its_bytes_do_not_fit(faulty: RunningSimulator) -> None:
    faulty.set(fail={"status": "bad_dtype"})
    features = json.loads(faulty.post(score_body()).json()[0]["image_features"])
    assert features["dtype"] == "int64"
    assert len(base64.b64decode(features["data"])) == 1024 * 1024


@pytest.mark.parametrize("wanted", [{"fail": {"status": "sideways"}}, {"fail": {"how": 1}}, {"colour": "red"}])
def test_an_unknown_wish_is_refused(endpoint: RunningSimulator, wanted: Any) -> None:
    assert httpx.post(f"{endpoint.base}/_simulator", json=wanted).status_code == 400


def test_the_counters_tell_what_was_scored() -> None:
    picture = hashlib.sha256(Image.open(BytesIO(canvas_png())).convert("RGB").tobytes()).hexdigest()
    grey = base64.b64encode(canvas_png("L")).decode()
    with running_simulator() as endpoint:
        answers = [
            endpoint.post(score_body([IMAGE, "tumor & liver"], [grey, "tumor"])),
            endpoint.post(score_body(["", "tumor"])),
        ]
        counters = endpoint.counters()
    assert (counters["scores"], counters["rows"]) == (2, 2)
    assert counters["answers"] == {"200": 1, "424": 1}
    assert counters["images"] == {picture: 2}
    assert counters["kinds"] == {"RGB 1024x1024": 1, "L 1024x1024": 1}
    assert counters["prompts"] == {"tumor": 2, "liver": 1}
    assert counters["bytes_in"] == sum(len(answer.request.content) for answer in answers)
    assert counters["bytes_out"] == sum(len(answer.content) for answer in answers)


def test_the_service_time_can_be_changed_while_it_runs() -> None:
    with running_simulator(request_timeout=5) as endpoint:
        endpoint.set(service_time=0.4)
        answer = endpoint.post(score_body())
    assert float(answer.headers["x-ms-run-fn-exec-ms"]) >= 400
