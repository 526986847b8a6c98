"""Runs from manifests and listings that have rejected lines, or end because they cannot be read."""

import json
import os
from pathlib import Path

import httpx
import pytest

from maskrelay.contract.records import keys
from tests.integration.worker.by_reference.source_jobs import items_of_run, put, shown, submitted
from tests.support.builders.credentials import write_credentials
from tests.support.drivers.driven_jobs import driven, planned
from tests.support.servers.apis import RunningApi, running_api


def refused(api: RunningApi, client: httpx.Client, job: str) -> str:
    """Plan the job, which must end without a result. Return the code of its error."""
    planned(api)
    found = shown(client, job)
    assert (found["state"], found["reason"]) == ("failed", found["error"]["code"])
    return str(found["reason"])


def test_bad_lines_are_reported_and_the_others_are_segmented(api: RunningApi, north: httpx.Client, data: Path) -> None:
    good = put(data, "a.png")
    lines = [
        {"source": good},
        {"source": "s3://elsewhere/secret.png"},
        b"no json",
        {"source": good, "credential": "unknown"},
        {"source": good, "prompts": ["a&b"]},
        {"source": good, "custom_id": "0"},
        {"upload": "a" * 26},
        {"source": good, "colour": 1},
        {"source": "a.png"},
        {"source": good, "custom_id": "last"},
    ]
    body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    job = submitted(north, manifest={"source": put(data, "run.jsonl", body)}, options={"max_rejected_share": 0.8})
    assert driven(api, job).counts.total == 2
    assert [item.custom_id for item in items_of_run(api, job)] == ["0", "last"]
    assert shown(north, job)["rejected"] == 8
    page = north.get(shown(north, job)["links"]["rejected"]).json()["rejected"]
    assert [(line["line"], line["code"], line["pointer"]) for line in page] == [
        (2, "source_not_allowed", "#/source"),
        (3, "line_invalid", None),
        (4, "credential_unknown", "#/credential"),
        (5, "prompt_has_ampersand", "#/prompts/0"),
        (6, "custom_id_duplicate", "#/custom_id"),
        (7, "line_invalid", "#/upload"),
        (8, "option_unknown", "#"),
        (9, "source_invalid", "#/source"),
    ]


def test_too_many_bad_lines_end_the_job_and_are_listed(api: RunningApi, north: httpx.Client, data: Path) -> None:
    url = put(data, "run.csv", f"source\n{put(data, 'a.png')}\nftp://a\n".encode())
    job = submitted(north, manifest={"source": url}, options={"max_rejected_share": 0.4})
    assert refused(api, north, job) == "too_many_rejected"
    assert "1 of 2" in shown(north, job)["error"]["detail"]
    assert [line["line"] for line in north.get(f"/v1/jobs/{job}/rejected").json()["rejected"]] == [3]
    assert api.objects(keys.frames(job)) == []


FAILING = [
    pytest.param({"listing": {"source": "DATA/*.dcm"}}, "listing_empty", id="nothing matches"),
    pytest.param({"listing": {"source": "DATA/missing/"}}, "source_not_found", id="no folder"),
    pytest.param({"manifest": {"source": "DATA/missing.csv"}}, "source_not_found", id="no manifest"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "csv"}}, "manifest_invalid", id="a picture as csv"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "ndjson"}}, "manifest_invalid", id="as ndjson"),
    pytest.param({"manifest": {"source": "DATA/a.png", "format": "parquet"}}, "manifest_invalid", id="as parquet"),
    pytest.param({"manifest": {"source": "DATA/empty.jsonl"}}, "no_items", id="an empty manifest"),
]


@pytest.mark.parametrize(("body", "code"), FAILING)
def test_a_run_that_cannot_be_read_ends_with_a_code(
    api: RunningApi, north: httpx.Client, data: Path, body: dict[str, dict[str, str]], code: str
) -> None:
    put(data, "a.png")
    put(data, "empty.jsonl", b"\n")
    body = json.loads(json.dumps(body).replace("DATA", data.as_uri()))
    job = submitted(north, **body)
    assert refused(api, north, job) == code
    assert str(data) not in json.dumps(shown(north, job))


def test_a_run_with_more_items_than_the_quota_ends(
    tmp_path: Path, empty_valkey: str, credentials: Path, data: Path
) -> None:
    for number in range(3):
        put(data, f"{number}.png")
    with (
        running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials), tenant_frames=2) as api,
        api.client() as client,
    ):
        job = submitted(client, listing={"source": f"{data.as_uri()}/"})
        assert refused(api, client, job) == "frames_quota_reached"


def test_a_withdrawn_right_ends_the_run(api: RunningApi, north: httpx.Client, data: Path, credentials: Path) -> None:
    put(data, "a.png")
    job = submitted(north, listing={"source": f"{data.as_uri()}/"})
    write_credentials(credentials)
    os.utime(credentials, (1, 1))
    assert refused(api, north, job) == "source_forbidden"
