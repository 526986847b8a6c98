"""The document of the API is complete, and says what is true."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator

from api.routes import ACCESS
from maskrelay.contract.records.events import EVENT_TYPES, event_body
from tests.support.drivers.api_jobs import accepted, submit
from tests.support.servers.apis import RunningApi

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "reference" / "openapi.json"
PUBLIC = ["/livez", "/readyz", "/metrics", "/v1/scaling", "/v1/sign-in", "/openapi.json"]


@pytest.fixture
def document(api: RunningApi) -> dict:
    return httpx.get(f"{api.url}/openapi.json", trust_env=False, timeout=60).json()


def test_it_names_every_call_of_the_surface(document: dict) -> None:
    calls = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert calls == {
        ("post", "/v1/jobs"),
        ("get", "/v1/jobs"),
        ("get", "/v1/jobs/{job}"),
        ("post", "/v1/jobs/{job}/cancel"),
        ("delete", "/v1/jobs/{job}"),
        ("get", "/v1/jobs/{job}/dead-letters"),
        ("get", "/v1/jobs/{job}/rejected"),
        ("post", "/v1/jobs/{job}/redrive"),
        ("post", "/v1/redrive"),
        ("get", "/v1/jobs/{job}/deliveries"),
        ("post", "/v1/jobs/{job}/deliveries/{event}/replay"),
        ("get", "/v1/jobs/{job}/items"),
        ("get", "/v1/jobs/{job}/items/{item}"),
        ("get", "/v1/jobs/{job}/artifacts"),
        ("get", "/v1/jobs/{job}/artifacts/{name}"),
        ("get", "/v1/jobs/{job}/events"),
        ("get", "/v1/jobs/{job}/results.csv"),
        ("get", "/v1/jobs/{job}/results.parquet"),
        ("put", "/v1/jobs/{job}/items/{item}/review"),
        ("delete", "/v1/jobs/{job}/items/{item}/review"),
        ("get", "/v1/jobs/{job}/items/{item}/review"),
        ("get", "/v1/jobs/{job}/reviews"),
        ("get", "/v1/events"),
        ("post", "/v1/uploads"),
        ("get", "/v1/endpoints"),
        ("post", "/v1/watches"),
        ("get", "/v1/watches"),
        ("delete", "/v1/watches/{watch}"),
        ("post", "/v1/watches/{watch}/events"),
        ("get", "/v1/prompts"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("get", "/v1/scaling"),
        ("get", "/v1/sign-in"),
        ("get", "/metrics"),
    }


def test_the_committed_document_is_what_the_api_answers(document: dict) -> None:
    assert json.loads(COMMITTED.read_text()) == document, "run `make docs` and commit what it writes"


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_each_event_is_a_webhook_with_its_signed_headers_and_a_body_of_its_schema(document: dict, event: str) -> None:
    hook = document["webhooks"][event]["post"]
    assert {(one["name"], one["in"], one["required"]) for one in hook["parameters"]} == {
        ("webhook-id", "header", True),
        ("webhook-timestamp", "header", True),
        ("webhook-signature", "header", True),
    }
    schema = {**hook["requestBody"]["content"]["application/json"]["schema"], "components": document["components"]}
    links = {"self": "https://masks.example/v1/jobs/a", "items": "https://masks.example/v1/jobs/a/items"}
    body = json.loads(event_body(event, datetime.now(UTC), job="a", state="running", counts={"total": 1}, links=links))
    Draft202012Validator(schema).validate(body)
    shape = document["components"]["schemas"]
    assert body.keys() == shape["JobEvent"]["properties"].keys()
    assert body["data"].keys() == shape["JobEventData"]["properties"].keys()


def test_every_reference_leads_somewhere(document: dict) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return here + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(document)
    assert "#/components/schemas/JobAsked" in found
    for reference in found:
        assert reference.rpartition("/")[2] in document["components"]["schemas"], reference


def test_bodies_that_are_parsed_by_hand_are_described(document: dict) -> None:
    jobs = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert jobs.keys() == {"multipart/form-data", "application/json", "application/x-ndjson"}
    assert jobs["multipart/form-data"]["schema"]["properties"].keys() == {"image", "prompt", "options"}
    uploads = document["paths"]["/v1/uploads"]["post"]["requestBody"]["content"]
    assert uploads.keys() == {"multipart/form-data", "application/octet-stream"}


def test_every_call_but_the_public_ones_needs_a_key_and_answers_problems(document: dict) -> None:
    assert document["security"] == [{"key": []}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in PUBLIC:
                assert operation["security"] == []
                continue
            assert operation["security"] == [{"key": [ACCESS[method.upper(), path]]}]
            assert {"401", "403", "503"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"].keys() == {"application/problem+json"}, (path, status)


def test_answers_have_the_members_the_document_names(api: RunningApi, north: httpx.Client, document: dict) -> None:
    shown = submit(north, b"a", options={"callback": {"url": "http://127.0.0.1:9/hook"}}).json()
    schemas = document["components"]["schemas"]
    assert shown.keys() <= schemas["JobShown"]["properties"].keys()
    assert set(schemas["JobShown"]["required"]) <= shown.keys()
    problem = north.get(f"/v1/jobs/{'a' * 26}").json()
    assert problem.keys() <= schemas["Problem"]["properties"].keys()
    assert set(schemas["Problem"]["required"]) <= problem.keys()


@pytest.mark.parametrize(("path", "methods"), [("/v1/jobs", "GET, HEAD, POST"), ("/v1/jobs/a", "DELETE, GET, HEAD")])
def test_a_method_that_a_path_lacks_is_told_all_it_has(north: httpx.Client, path: str, methods: str) -> None:
    answer = north.put(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("path", PUBLIC)
def test_operations_need_no_key_and_tell_nothing_of_jobs(api: RunningApi, north: httpx.Client, path: str) -> None:
    job = accepted(north)
    answer = httpx.get(api.url + path, trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert job not in answer.text
    assert str(api.folder) not in answer.text
