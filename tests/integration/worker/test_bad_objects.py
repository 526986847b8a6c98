"""One bad object, whoever wrote it, is left out and named; every other job goes on."""

import json
import logging
import time
from collections.abc import Iterator

import httpx
import pytest
import redis

from maskrelay.client.cli import main
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import RecordUnreadable
from maskrelay.storage.stored_records import lines_of, read_record, record_body
from tests.support.builders.hostile import nested, poisoned
from tests.support.drivers.api_jobs import accepted, submission_of, submit
from tests.support.drivers.cleanup_passes import later, parts_of, removed
from tests.support.drivers.driven_jobs import (
    driven,
    finished,
    planned,
    scored,
)
from tests.support.servers.apis import (
    KEYS,
    SERVER_KEY,
    SMALL_LIMITS,
    RunningApi,
    running_api,
    write_keys,
)
from worker.cleanup.cleanup_pass import clear
from worker.plan.plan_step import plan_jobs
from worker.sweep.reconcile import reconcile
from worker.sweep.recover import recover, recover_and_print


def depths(job: str) -> dict[str, tuple[str, bytes, str]]:
    """By route: the path, the body of a request nested too deep in some place, and its media type."""
    deep = json.dumps(nested(40))
    return {
        "items": ("/v1/jobs", f'{{"items": [{{"upload": {deep}}}]}}'.encode(), "application/json"),
        "custom_id": ("/v1/jobs", f'{{"items": [{{"custom_id": {deep}}}]}}'.encode(), "application/json"),
        "prompts": ("/v1/jobs", f'{{"items": [], "prompts": [{deep}]}}'.encode(), "application/json"),
        "metadata": ("/v1/jobs", f'{{"items": [], "options": {{"metadata": {deep}}}}}'.encode(), "application/json"),
        "unknown": ("/v1/jobs", f'{{"x": {deep}}}'.encode(), "application/json"),
    }


@pytest.mark.parametrize("depth", [33, 40, 197, 198, 900])
def test_options_that_are_nested_too_deep_are_refused_and_leave_nothing(
    api: RunningApi, north: httpx.Client, depth: int
) -> None:
    answer = submit(north, b"x", options={"metadata": nested(depth)})
    assert (answer.status_code, answer.json()["code"]) == (422, "nested_too_deep")
    assert api.files() == []
    assert north.get("/v1/jobs").json() == {"jobs": [], "next": None}


@pytest.mark.parametrize("where", sorted(depths("")))
def test_a_json_body_that_is_nested_too_deep_is_refused(api: RunningApi, north: httpx.Client, where: str) -> None:
    path, body, kind = depths("")[where]
    answer = north.post(path, content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (422, "nested_too_deep")
    assert api.files() == []


def test_metadata_that_is_nested_as_deep_as_is_allowed_comes_back(api: RunningApi, north: httpx.Client) -> None:
    metadata = {**nested(31), "number": 10**4000, "text": "\u2028 é", "float": 0.1}
    job = accepted(north, b"x", options={"metadata": metadata})
    assert north.get(f"/v1/jobs/{job}").json()["metadata"] == metadata
    assert driven(api, job).metadata == metadata


def test_a_record_that_would_not_be_read_back_is_not_written(api: RunningApi, two: str) -> None:
    submission = submission_of(api, two)
    for metadata in (nested(300), {"a": float("nan")}, {"a": "\ud800"}):
        with pytest.raises(RecordUnreadable):
            record_body(submission.model_copy(update={"metadata": metadata}))
    assert Submission.model_validate_json(record_body(submission)) == submission


@pytest.fixture
def bad(api: RunningApi, north: httpx.Client) -> str:
    """The first of three jobs, of which the record is one that an earlier release accepted and nobody can read."""
    jobs = [accepted(north, b"a") for _ in range(3)]
    job = min(jobs)
    api.storage.put(keys.accepted(job), poisoned(submission_of(api, job)))
    return job


@pytest.fixture
def fresh(api: RunningApi, empty_valkey: str) -> Iterator[RunningApi]:
    """Another API process over the same store, which has read nothing yet."""
    with running_api(api.folder, empty_valkey, **SMALL_LIMITS) as running:
        yield running


def test_a_job_that_cannot_be_read_is_named_in_the_list_and_the_others_are_shown(fresh: RunningApi, bad: str) -> None:
    with fresh.client() as north:
        page = north.get("/v1/jobs").json()
        alone = north.get(f"/v1/jobs/{bad}")
    assert len(page["jobs"]) == 2
    assert page["unreadable"] == [bad]
    assert (alone.status_code, alone.json()["code"]) == (500, "record_unreadable")


def test_the_command_lists_a_job_that_cannot_be_read(
    fresh: RunningApi, bad: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKRELAY_URL", fresh.url)
    monkeypatch.setenv("MASKRELAY_API_KEY", "north")
    assert main(["jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[-1].split() == [bad, "unreadable"]
    assert main(["jobs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(told), told[-1]] == [3, {"id": bad, "state": "unreadable"}]


def test_all_failed_jobs_are_redriven_beside_one_that_cannot_be_read(fresh: RunningApi, bad: str) -> None:
    with fresh.client("writer") as writer:
        told = writer.post("/v1/redrive").json()
    assert [(one["job"], one["error"]["code"]) for one in told["refused"]] == [(bad, "record_unreadable")]


@pytest.mark.parametrize("ledger", ["knows it", "is empty"])
def test_a_job_that_cannot_be_read_can_be_deleted_and_leaves_a_tombstone(
    api: RunningApi, fresh: RunningApi, bad: str, empty_valkey: str, ledger: str
) -> None:
    if ledger == "is empty":
        with redis.Redis.from_url(empty_valkey) as client:
            client.flushall()
    with fresh.client("admin") as admin:
        assert admin.delete(f"/v1/jobs/{bad}").status_code == 204
        assert admin.delete(f"/v1/jobs/{bad}").status_code == 410
    removed(api)
    assert api.objects(f"jobs/{bad}/", keys.live(bad)) == [keys.gone(bad)]
    with fresh.client() as north:
        assert north.get(f"/v1/jobs/{bad}").status_code == 410
        assert "unreadable" not in north.get("/v1/jobs").json()


def test_a_job_that_cannot_be_read_is_not_anothers_to_delete(
    api: RunningApi, fresh: RunningApi, bad: str, empty_valkey: str
) -> None:
    write_keys(api.folder.parent / "keys.json", {**KEYS, "other admin": ("south", ["admin"])})
    with redis.Redis.from_url(empty_valkey) as client, fresh.client("other admin") as other:
        assert other.delete(f"/v1/jobs/{bad}").status_code == 404
        client.flushall()
        assert other.delete(f"/v1/jobs/{bad}").status_code == 404


POISONS = {
    "a record that is nested too deep": lambda api, job: poisoned(submission_of(api, job)),
    "an empty result": lambda _api, _job: b"",
    "a foreign object among the parts": lambda _api, _job: b"x",
    "a tombstone that is none": lambda _api, _job: b"{}",
    "an intent that is none": lambda _api, _job: b'{"reason": 1}',
    "the record of another job": lambda api, job: api.storage.get(
        keys.accepted(next(one for one in map(job_of, api.objects("live/")) if one != job))
    ),
}
PLACES = {
    "a record that is nested too deep": keys.accepted,
    "an empty result": keys.result,
    "a foreign object among the parts": lambda job: keys.outcomes(job) + "copy.ndjson",
    "a tombstone that is none": keys.gone,
    "an intent that is none": keys.cancel,
    "the record of another job": keys.accepted,
}


def job_of(key: str) -> str:
    return key.removeprefix("live/")


@pytest.mark.parametrize("poison", sorted(POISONS))
def test_one_bad_job_is_named_and_counted_and_the_others_are_compared(
    api: RunningApi, north: httpx.Client, empty_valkey: str, poison: str, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = sorted(accepted(north, b"a", b"b") for _ in range(4))
    planned(api)
    scored(api)
    first = jobs[0]
    api.storage.put(PLACES[poison](first), POISONS[poison](api, first))
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    parts = parts_of(api)
    found = recover(parts, later())
    assert found["live jobs compared"] == 4
    assert [name for name in found if name.startswith("left out: ")] == [
        next(name for name in found if name.startswith(f"left out: {first}: "))
    ]
    assert all(api.ledger.jobs.get(job).frames.succeeded == 2 for job in jobs[1:])
    with caplog.at_level(logging.ERROR):
        caplog.clear()
        recover(parts, later())
    assert caplog.records == []  # nothing of it is new
    parts.recorder.tell()
    told = north.get("/metrics").text
    assert 'maskrelay_bad_objects_total{pass="comparison"} 2.0' in told
    planned_of_others(api)
    for job in jobs[1:]:
        assert finished(api, job).state == "succeeded"


def test_the_sweep_takes_leases_back_beside_a_job_that_cannot_be_compared(
    api: RunningApi, bad: str, empty_valkey: str
) -> None:
    planned_of_others(api)
    assert api.ledger.claims.take(0, ["interactive", "bulk"])
    with redis.Redis.from_url(empty_valkey) as client:
        recover(parts_of(api), later())
        client.zadd("mr:leases", dict.fromkeys(client.zrange("mr:leases", 0, -1), 1))
    found = recover(parts_of(api), later())
    assert (found["jobs that could not be compared"], found["leases of lost workers released"]) == (1, 1)


def planned_of_others(api: RunningApi) -> None:
    """Plan what can be planned; a job that cannot be read stays."""
    for _ in range(3):
        try:
            plan_jobs(parts_of(api), time.monotonic() + 60)
        except RecordUnreadable:
            continue


def test_the_command_names_a_job_that_cannot_be_read(
    api: RunningApi, bad: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MASKRELAY_REDIS_URL", api.settings.redis_url.get_secret_value())
    monkeypatch.setenv("MASKRELAY_STORAGE_URL", api.settings.storage_url)
    monkeypatch.setenv("MASKRELAY_SERVER_KEY", SERVER_KEY)
    assert recover_and_print() == 0
    told = capsys.readouterr().out
    assert f"left out: {bad}: record_unreadable" in told
    assert "1  jobs that could not be compared" in told


def test_a_field_of_a_later_release_is_kept_and_in_nobodys_way(
    api: RunningApi, north: httpx.Client, two: str, empty_valkey: str
) -> None:
    said = json.loads(api.storage.get(keys.accepted(two)))
    said["new_field"] = {"a": [1]}
    said["items"][0]["new_field"] = "b"
    api.storage.put(keys.accepted(two), json.dumps(said).encode())
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    assert reconcile(parts_of(api))["ledger records restored"] == 1
    assert driven(api, two, lambda _: "truncated").state == "failed"
    with running_api(api.folder, empty_valkey) as fresh, fresh.client() as again:
        new = again.post(f"/v1/jobs/{two}/redrive").json()["id"]
    written = json.loads(api.storage.get(keys.accepted(new)))
    assert written["new_field"] == {"a": [1]}
    assert written["items"][0]["new_field"] == "b"


def test_a_callers_misspelt_option_is_refused_as_before(north: httpx.Client) -> None:
    for options in ({"new_field": 1}, {"intensity": {"window": [0, 1], "x": 1}}, {"callback": {"url": "u", "x": 1}}):
        answer = submit(north, b"x", options=options)
        assert answer.status_code == 422, answer.text


def test_a_line_that_cannot_be_read_costs_its_frame_alone(api: RunningApi, two: str) -> None:
    planned(api)
    [part, *_] = scored(api)
    key = keys.outcome_part(two, part)
    api.storage.put(key, b'{"frame": -1}\n' + api.storage.get(key)[:-20])
    assert api.ledger.jobs.get(two).state == "finishing"
    with pytest.raises(Exception, match="key"):  # its frame waits again
        finished(api, two)
    assert driven(api, two).counts.succeeded == 2


def test_a_record_longer_than_any_of_ours_is_not_read_as_a_whole(
    api: RunningApi, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskrelay.storage.stored_records.LONGEST_BYTES", 100)
    with pytest.raises(RecordUnreadable):
        read_record(api.storage, keys.accepted(two), Submission)


def test_a_line_of_many_chunks_is_put_together_once() -> None:
    chunks = [b"a" * (1 << 20)] * 64
    lines = list(lines_of(iter([b"x\ny\nz", *chunks, b"\n\nend"])))
    assert [len(line) for line in lines] == [1, 1, (64 << 20) + 1, 0, 3]
    assert list(lines_of(iter([b"a\n", b"b\n"]))) == [b"a", b"b"]


def test_clearing_goes_past_markers_of_strangers(api: RunningApi, two: str) -> None:
    driven(api, two)
    for key in ("removing/notes.txt", "removing/a/b", "sweeping/notes.txt", "sweeping/a/b", "sweeping/" + "y" * 255):
        api.storage.put(key, b"x")
    clear(parts_of(api), later(hours=2))
    assert keys.sweeping(two) not in api.objects("sweeping/")
