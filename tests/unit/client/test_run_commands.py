"""The submission of runs by the client and by the command `run`."""

import json
from typing import Any

import pytest

from maskrelay.client.cli import main
from maskrelay.client.run_operations import is_manifest
from tests.unit.client.services import Service, job, problem, service

FORECAST = {"items": 3, "failed": 0, "frames": 90, "rejected": 1, "bytes_to_read": 7, "scores": 90, "endpoints": 1}


def body_of(one: Service) -> Any:
    return json.loads(one.server.seen[0].body)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("s3://b/run.csv", True),
        ("s3://b/RUN.JSONL", True),
        ("s3://b/run.ndjson", True),
        ("s3://b/run.parquet", True),
        ("s3://b/*/run.csv", False),
        ("s3://b/ct/**/*.dcm", False),
        ("s3://b/run.csv/", False),
    ],
)
def test_the_ending_says_whether_a_source_is_a_manifest(source: str, expected: bool) -> None:
    assert is_manifest(source) == expected


def test_a_listing_and_a_manifest_are_submitted() -> None:
    with service(job()) as one:
        assert one.client.run("s3://b/ct/**/*.dcm", "liver", outputs="seg", credential="pacs").id == "j1"
        one.client.run("s3://b/run.csv", wait_s=7, idempotency_key="mine")
        one.client.run("s3://b/run", ["a", "b"], manifest_format="csv", options={"dry_run": True})
        seen = one.server.seen
    assert [json.loads(each.body) for each in seen] == [
        {
            "listing": {"source": "s3://b/ct/**/*.dcm", "credential": "pacs"},
            "prompts": ["liver"],
            "options": {"outputs": ["seg"]},
        },
        {"manifest": {"source": "s3://b/run.csv"}},
        {"manifest": {"source": "s3://b/run", "format": "csv"}, "prompts": ["a", "b"], "options": {"dry_run": True}},
    ]
    assert len({each.headers["idempotency-key"] for each in seen}) == 3
    assert (seen[1].headers["idempotency-key"], seen[1].headers["prefer"]) == ('"mine"', "wait=7")


def test_the_command_shows_the_accepted_job(use, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "s3://b/ct/*", "--prompt", "liver", "--prompt", "spleen", "--option", "burned_in=refuse"]
    more = ["--output", "mask", "--outputs", "seg", "--max-rejected", "0.1", "--endpoint", "east"]
    with service(job(state="accepted")) as one:
        use(one)
        assert main([*command, *more]) == 0
        assert body_of(one) == {
            "listing": {"source": "s3://b/ct/*"},
            "prompts": ["liver", "spleen"],
            "options": {
                "burned_in": "refuse",
                "endpoint": "east",
                "max_rejected_share": 0.1,
                "outputs": ["mask", "seg"],
            },
        }
    assert "next: maskrelay wait j1" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("partial", 1), ("failed", 1)])
def test_the_command_waits_for_the_end(use, capsys: pytest.CaptureFixture[str], state: str, code: int) -> None:
    error = {"code": "manifest_invalid", "detail": "Line 1 is no header."} if state == "failed" else None
    with service(job(state="running"), job(state=state, rejected=2, error=error)) as one:
        use(one)
        assert main(["run", "s3://b/run.csv", "--wait"]) == code
        assert body_of(one) == {"manifest": {"source": "s3://b/run.csv"}}
    told = capsys.readouterr()
    assert "2 lines were rejected" in told.err
    assert ("manifest_invalid: Line 1 is no header." in told.out) == (state == "failed")


def test_a_dry_run_prints_its_forecast(use, capsys: pytest.CaptureFixture[str]) -> None:
    with service(job(state="accepted"), job(forecast=FORECAST)) as one:
        use(one)
        assert main(["run", "s3://b/ct/*", "--prompt", "liver", "--dry-run"]) == 0
        assert body_of(one)["options"] == {"dry_run": True}
    told = capsys.readouterr().out.splitlines()
    assert {"frames: 90", "rejected: 1", "seconds: unknown"} <= set(told)


def test_a_source_that_may_not_be_read_is_exit_code_3(use, capsys: pytest.CaptureFixture[str]) -> None:
    places = [{"pointer": "#/listing/source", "detail": "No."}]
    with service(problem(422, "source_not_allowed", "No.", errors=places)) as one:
        use(one)
        assert main(["run", "s3://other/*", "--prompt", "liver"]) == 3
    assert "#/listing/source" in capsys.readouterr().err
