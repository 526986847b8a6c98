"""Runs as a body of lines: what is accepted, what is rejected line by line, and what a repeat gets."""

from pathlib import Path
from typing import Any

import httpx
import pytest

import maskrelay.rules.run_chunks
from maskrelay.contract.records import keys
from maskrelay.storage.submitted_items import read_items
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.runs import PROMPT, accepted_run, submit_run, uploaded
from tests.support.servers.apis import RunningApi, running_api

HEAD = {"prompts": [PROMPT]}
KEY = {"Idempotency-Key": "cohort 7"}


@pytest.fixture
def one(north: httpx.Client) -> str:
    """The id of an upload."""
    return uploaded(north, b"one")[0]


def rejected(client: httpx.Client, job: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/jobs/{job}/rejected", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_every_line_is_an_item(api: RunningApi, north: httpx.Client) -> None:
    first, second = uploaded(north, b"one", b"two")
    answer = submit_run(
        north,
        {**HEAD, "options": {"outputs": ["overlay"]}},
        {"upload": first},
        b"",
        {"upload": second, "custom_id": "left", "prompts": ["optic cup"]},
        {"upload": first},
    )
    assert answer.status_code == 202, answer.text
    assert (answer.json()["counts"]["total"], answer.json()["rejected"]) == (3, 0)
    assert "rejected" not in answer.json()["links"]
    submission = submission_of(api, answer.json()["id"])
    assert (submission.lane, submission.outputs, submission.size) == ("interactive", ("overlay",), 6)
    items = list(read_items(api.storage, submission))
    assert [item.custom_id for item in items] == ["0", "left", "2"]
    assert [item.prompts for item in items] == [(PROMPT,), ("optic cup",), (PROMPT,)]
    assert [api.storage.get(item.source) for item in items] == [b"one", b"two", b"one"]
    assert all(api.storage.head(keys.upload_use(item.source, submission.id)) for item in items)


def test_the_head_may_be_left_out(api: RunningApi, north: httpx.Client, one: str) -> None:
    job = accepted_run(north, {"upload": one, "prompts": ["optic cup"]})
    assert [item.prompts for item in read_items(api.storage, submission_of(api, job))] == [("optic cup",)]


def test_a_run_and_a_json_body_with_the_same_items_are_the_same_request(north: httpx.Client, one: str) -> None:
    item = {"upload": one, "custom_id": "ä", "options": {"intensity": {"window": [0, 9]}, "outputs": ["seg", "mask"]}}
    run = submit_run(north, HEAD, item, headers=KEY)
    body = {"items": [{**item, "options": {"outputs": ["mask", "seg"], "intensity": {"window": [0.0, 9.0]}}}], **HEAD}
    again = north.post("/v1/jobs", json=body, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, run.json()["id"])


def test_a_repeat_gets_the_first_run_and_writes_nothing(api: RunningApi, north: httpx.Client, one: str) -> None:
    first = submit_run(north, HEAD, {"upload": one}, headers=KEY)
    before = api.objects()
    again = submit_run(north, HEAD, {"upload": one}, headers=KEY)
    other = submit_run(north, HEAD, {"upload": one}, {"upload": one}, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert api.objects() == before


BAD_LINES = [
    pytest.param(b"{", "line_invalid", None, id="not json"),
    pytest.param(b"\xff", "line_invalid", None, id="not text"),
    pytest.param([1], "line_invalid", None, id="not an object"),
    pytest.param({"custom_id": "a"}, "line_invalid", None, id="nothing to segment"),
    pytest.param({"upload": 7}, "malformed", "#/upload", id="a number"),
    pytest.param({"upload": "a" * 26}, "upload_unknown", "#/upload", id="unknown upload"),
    pytest.param({"upload": ""}, "upload_unknown", "#/upload", id="empty upload"),
    pytest.param({"uplaod": "x", "upload": "y"}, "option_unknown", "#", id="unknown name"),
    pytest.param({"upload": "ONE", "prompts": ["a", ""]}, "prompt_empty", "#/prompts/1", id="empty prompt"),
    pytest.param({"upload": "ONE", "options": []}, "malformed", "#/options", id="no options"),
    pytest.param({"upload": "ONE", "options": {"volume": -1}}, "option_invalid", "#/options/volume", id="option"),
    pytest.param({"upload": "ONE", "options": {"reuse": True}}, "option_unknown", "#/options/reuse", id="of the job"),
    pytest.param({"upload": "ONE", "custom_id": ""}, "option_invalid", "#/custom_id", id="empty custom id"),
    pytest.param({"upload": "ONE", "custom_id": "first"}, "custom_id_duplicate", "#/custom_id", id="taken custom id"),
    pytest.param(b'{"upload": "' + b"x" * 70_000 + b'"}', "line_invalid", None, id="endless"),
]


@pytest.mark.parametrize(("line", "code", "pointer"), BAD_LINES)
def test_a_bad_line_is_reported_and_the_others_are_accepted(
    api: RunningApi, north: httpx.Client, one: str, line: Any, code: str, pointer: str | None
) -> None:
    line = {**line, "upload": one} if isinstance(line, dict) and line.get("upload") == "ONE" else line
    head = {**HEAD, "options": {"max_rejected_share": 0.5}}
    answer = submit_run(north, head, {"upload": one, "custom_id": "first"}, line, {"upload": one})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert (answer.json()["rejected"], answer.json()["counts"]["total"]) == (1, 2)
    found = rejected(north, job)
    assert found["next"] is None
    assert [(line["line"], line["code"], line["pointer"]) for line in found["rejected"]] == [(3, code, pointer)]
    assert answer.json()["links"]["rejected"].endswith(f"/v1/jobs/{job}/rejected")
    assert [item.custom_id for item in read_items(api.storage, submission_of(api, job))] == ["first", "2"]


def test_without_a_share_a_bad_line_refuses_the_run_and_leaves_nothing(
    api: RunningApi, north: httpx.Client, one: str
) -> None:
    answer = submit_run(north, HEAD, {"upload": one}, {"upload": one, "prompts": ["a&b"]}, b"[")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rejected")
    places = [error["pointer"] for error in answer.json()["errors"]]
    assert places == ["#/lines/3/prompts/0", "#/lines/4"]
    assert api.objects("jobs/") == []


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        pytest.param([], 422, "no_items", id="nothing"),
        pytest.param([HEAD], 422, "no_items", id="no lines"),
        pytest.param([{"prompts": ["a", ""]}], 422, "prompt_empty", id="a prompt of the head"),
        pytest.param([{"options": {"colour": 1}}], 422, "option_unknown", id="an option"),
        pytest.param([{"options": {"max_rejected_share": 2}}], 422, "option_invalid", id="the share"),
        pytest.param([b"no json"], 422, "line_invalid", id="no json"),
    ],
)
def test_a_head_that_cannot_be_used_refuses_the_run(
    north: httpx.Client, lines: list[Any], status: int, code: str
) -> None:
    answer = submit_run(north, *lines)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_first_line_that_is_no_json_is_named(north: httpx.Client) -> None:
    answer = submit_run(north, b"", b"no json").json()
    assert [error["pointer"] for error in answer["errors"]] == ["#/lines/2"]


def test_another_tenants_upload_is_unknown(south: httpx.Client, one: str) -> None:
    answer = submit_run(south, HEAD, {"upload": one})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rejected")
    assert answer.json()["errors"][0]["detail"].startswith("The upload does not exist")


def test_the_quota_of_frames_refuses_a_run(api: RunningApi, north: httpx.Client, one: str) -> None:
    quotas = {"tenant_frames": 2}
    folder, url = api.folder, api.settings.redis_url.get_secret_value()
    from tests.support.servers.apis import running_api

    with running_api(folder, url, **quotas) as small, small.client() as client:
        answer = submit_run(client, HEAD, *({"upload": one} for _ in range(3)))
    assert (answer.status_code, answer.json()["code"]) == (429, "frames_quota_reached")
    assert api.objects("jobs/") == []


def test_a_line_may_name_a_source_that_the_tenant_may_read(tmp_path: Path, empty_valkey: str) -> None:
    lake = tmp_path / "lake"
    file = write_credentials(tmp_path / "credentials.json", folder_credential(lake))
    lines = [
        {"source": f"{lake.as_uri()}/a.png", "custom_id": "a"},
        {"source": f"{tmp_path.as_uri()}/other/b.png"},
        {"source": f"{lake.as_uri()}/c.png", "credential": "unknown"},
        {"source": "c.png"},
        {"source": f"{lake.as_uri()}/d.png", "upload": "e"},
    ]
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(file)) as api, api.client() as client:
        answer = submit_run(client, {**HEAD, "options": {"max_rejected_share": 0.9}}, *lines, headers=KEY)
        assert answer.status_code == 202, answer.text
        again = submit_run(client, {**HEAD, "options": {"max_rejected_share": 0.9}}, *lines, headers=KEY)
        job = answer.json()["id"]
        assert again.json()["id"] == job
        (item,) = read_items(api.storage, submission_of(api, job))
        assert (item.custom_id, item.source, item.credential) == ("a", f"{lake.as_uri()}/a.png", "disk")
        found = [(line["line"], line["code"], line["pointer"]) for line in rejected(client, job)["rejected"]]
    assert found == [
        (3, "source_not_allowed", "#/source"),
        (4, "credential_unknown", "#/credential"),
        (5, "source_invalid", "#/source"),
        (6, "line_invalid", None),
    ]


def test_rejected_lines_are_listed_page_by_page_over_all_chunks(
    api: RunningApi, north: httpx.Client, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maskrelay.rules.run_chunks, "CHUNK_ITEMS", 2)
    lines = [{"upload": one} if number % 2 else b"bad" for number in range(9)]
    job = accepted_run(north, {**HEAD, "options": {"max_rejected_share": 1}}, *lines)
    assert len([key for key in api.objects(keys.item_lists(job)) if "rejected" in key]) > 1
    found, cursor = [], None
    while True:
        page = rejected(north, job, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [line["line"] for line in page["rejected"]]
        if (cursor := page["next"]) is None:
            break
    assert found == [2, 4, 6, 8, 10]
    assert north.get(f"/v1/jobs/{job}/rejected", params={"cursor": "x"}).json()["code"] == "malformed"


def test_a_job_that_is_no_run_has_no_rejected_lines(north: httpx.Client, two: str) -> None:
    assert rejected(north, two) == {"rejected": [], "next": None}


def test_another_tenants_rejected_lines_are_unknown(north: httpx.Client, south: httpx.Client, one: str) -> None:
    job = accepted_run(north, HEAD, {"upload": one})
    assert south.get(f"/v1/jobs/{job}/rejected").status_code == 404
