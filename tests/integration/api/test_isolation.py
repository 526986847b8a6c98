"""Another tenant's key on every route of the OpenAPI document: nothing is seen, changed or known to be."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from maskrelay.contract.records.job import Result
from tests.support.builders.answers import documented
from tests.support.drivers.api_jobs import (
    accepted,
    failed,
    finish,
    submission_of,
)
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import (
    KEYS,
    SMALL_LIMITS,
    RunningApi,
    running_api,
    write_keys,
)
from worker.context.job_records.conclusion import conclude

UNKNOWN = "a" * 26
HOOK = "http://127.0.0.1:9/hook"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OF_A_JOB = sorted({path for _, path in documented() if "{job}" in path})
#: A stream does not end by itself, so tests/integration/api/test_events.py shows what it tells.
LISTS = sorted(path for method, path in documented() if method == "GET" and "{" not in path and path != "/v1/events")


@dataclass(frozen=True)
class Theirs:
    """What the tenant north has; south knows every id of it."""

    api: RunningApi
    upload: str
    event: str
    jobs: dict[str, str]

    def path(self, path: str, job: str) -> str:
        """A documented path, filled in; a new parameter has to be known here."""
        return path.format(job=job, item=0, name="result.json", event=self.event)

    def words(self) -> set[str]:
        return {self.upload, self.event, "hidden-word", "eye 0.png", *self.jobs.values()}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, api_valkey: str) -> Iterator[Theirs]:
    folder = tmp_path_factory.mktemp("isolation")
    write_keys(folder / "keys.json", {**KEYS, "stranger": ("south", ["admin"])})
    with running_api(folder / "store", api_valkey, **SMALL_LIMITS) as api, api.client("admin") as north:
        options = {"callback": {"url": HOOK}, "metadata": {"note": "hidden-word"}}
        jobs = {state: accepted(north, b"a", options=options) for state in ("accepted", "ended", "deleted")}
        result: Result = finish(api, jobs["ended"], failed(0), known=False)
        conclude(parts_of(api), submission_of(api, jobs["ended"]), result)
        (event,) = north.get(f"/v1/jobs/{jobs['ended']}/deliveries").json()["deliveries"]
        north.delete(f"/v1/jobs/{jobs['deleted']}").raise_for_status()
        upload = north.post("/v1/uploads", content=b"pixels").json()["uploads"][0]["id"]
        yield Theirs(api, upload, event["event"], jobs)


@pytest.fixture(scope="module")
def stranger(theirs: Theirs) -> Iterator[httpx.Client]:
    with theirs.api.client("stranger") as client:
        yield client


def told(answer: httpx.Response, job: str) -> tuple[int, str, dict[str, str]]:
    """What an answer tells, without what is another in every answer."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"date", "content-length"}}
    body = answer.json() if answer.content else {}
    for name in ("trace_id", "timings"):
        body.pop(name, None)
    return answer.status_code, str(body).replace(job, UNKNOWN), headers


@pytest.mark.parametrize("state", ["accepted", "ended", "deleted"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", OF_A_JOB)
def test_anothers_job_is_answered_exactly_as_one_that_is_not(
    theirs: Theirs, stranger: httpx.Client, path: str, method: str, state: str
) -> None:
    job = theirs.jobs[state]
    answer = stranger.request(method, theirs.path(path, job))
    asked = "GET" if method == "HEAD" else method
    assert answer.status_code == (404 if (asked, path) in documented() else 405)
    unknown = stranger.request(method, theirs.path(path, UNKNOWN))
    assert told(answer, job) == told(unknown, UNKNOWN)


@pytest.mark.parametrize("path", LISTS)
def test_no_list_and_no_sum_names_anything_of_anothers(theirs: Theirs, stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 200
    assert {word for word in theirs.words() if word in answer.text} == set()


def test_the_list_of_jobs_is_empty_whatever_cursor_is_shown(theirs: Theirs, stranger: httpx.Client) -> None:
    with theirs.api.client("admin") as north:
        cursor = north.get("/v1/jobs", params={"limit": 1}).json()["next"]
    assert stranger.get("/v1/jobs").json()["jobs"] == []
    assert stranger.get("/v1/jobs", params={"cursor": cursor}).json()["jobs"] == []


def test_anothers_upload_is_unknown(theirs: Theirs, stranger: httpx.Client) -> None:
    for upload in (theirs.upload, UNKNOWN):
        answer = stranger.post("/v1/jobs", json={"items": [{"upload": upload}], "prompts": ["liver"]})
        assert (answer.status_code, answer.json()["code"]) == (422, "upload_unknown")


def test_afterwards_everything_is_as_it_was(theirs: Theirs, stranger: httpx.Client) -> None:
    def seen() -> list[tuple[int, str, dict[str, str]]]:
        with theirs.api.client("admin") as north:
            asked = [(job, more) for job in theirs.jobs.values() for more in ("", "/items", "/deliveries")]
            return [told(north.get(f"/v1/jobs/{job}{more}"), job) for job, more in asked]

    before, objects = seen(), theirs.api.objects()
    for method, path in documented():
        if "{job}" in path:
            for job in theirs.jobs.values():
                stranger.request(method, theirs.path(path, job))
    assert (seen(), theirs.api.objects()) == (before, objects)
