"""The chunks of a run are surveyed by several workers at once, and a worker that dies delays nothing for long."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import maskrelay.rules.run_chunks
from maskrelay.errors import SourceUnavailable
from maskrelay.ledger.step_leases import StepLease
from maskrelay.ledger.survey_leases import SurveyLease, SurveyLeases
from maskrelay.sources.file_reader import FileReader
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import frames_of, planned
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.simulators import eventually
from worker.context.turn import TimeIsUp
from worker.plan.chunk_surveys import make_survey
from worker.plan.plan_step import plan_job, plan_jobs
from worker.plan.run_expansion import expand_run

pytestmark = pytest.mark.slow_subject("chunk-surveys")

FILES, CHUNKS = 20, 10


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:02}.tif").write_bytes(saved(gradient(20 + number, 16), "TIFF"))
    return folder


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, data: Path) -> Iterator[RunningApi]:
    credentials = write_credentials(tmp_path / "credentials.json", folder_credential(data))
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maskrelay.rules.run_chunks, "CHUNK_ITEMS", 2)


def submitted(client: httpx.Client, data: Path) -> str:
    body = {"listing": {"source": f"{data.as_uri()}/*.tif"}, "prompts": ["liver"], "options": {"reuse": False}}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the beginning of each file was read."""
    urls: Counter[str] = Counter()
    stream = FileReader.stream

    def recorded(reader: FileReader, url: str, pin: Any, start: int, length: int) -> Any:
        urls[url] += start == 0
        return stream(reader, url, pin, start, length)

    monkeypatch.setattr(FileReader, "stream", recorded)
    return urls


def expanded(api: RunningApi, job: str) -> StepLease:
    """Take the plan step of the job, and read its lines."""
    lease = api.ledger.step_leases.take("plan")
    assert lease is not None
    assert lease.job == job
    expand_run(parts_of(api), submission_of(api, job), lease, lambda: None)
    return lease


def plan(api: RunningApi, lease: StepLease) -> None:
    context = parts_of(api)
    with closing(context.sources()) as sources:
        plan_job(context, sources, lease, time.monotonic() + 60)


def surveyed(api: RunningApi, job: str) -> list[int]:
    """Return the chunks that were surveyed."""
    parts = api.storage.list(f"jobs/{job}/survey/chunk-")
    return [int(key.split("chunk-")[1].split("-")[0]) for key in parts if "begun" not in key]


def is_whole(api: RunningApi, job: str) -> bool:
    names = [frame.source.rsplit("/", 1)[1] for frame in frames_of(api, job)]
    record = api.ledger.jobs.get(job)
    return record is not None and record.planned and names == [f"{number:02}.tif" for number in range(FILES)]


def make(api: RunningApi, lease: SurveyLease, check_time: Any = lambda: None) -> None:
    context = parts_of(api)
    with closing(context.sources()) as sources:
        make_survey(context, sources, lease, check_time)


def test_free_workers_survey_different_chunks_and_planning_reads_no_source_again(
    api: RunningApi, north: httpx.Client, data: Path, read: Counter[str]
) -> None:
    job = submitted(north, data)
    lease = expanded(api, job)
    assert api.ledger.survey_leases.offer(job, range(CHUNKS)) == CHUNKS
    assert api.ledger.wake_ups.work("plan") == CHUNKS
    workers = [threading.Thread(target=plan_jobs, args=(parts_of(api), time.monotonic() + 60)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert surveyed(api, job) == list(range(CHUNKS))
    before = dict(read)
    assert len(set(before.values())) == 1  # none was surveyed twice
    plan(api, lease)
    assert is_whole(api, job)
    assert read == before


def test_planning_waits_for_the_survey_of_another_worker_and_surveys_the_next_chunks_meanwhile(
    api: RunningApi, north: httpx.Client, data: Path, read: Counter[str]
) -> None:
    job = submitted(north, data)
    lease = expanded(api, job)
    api.ledger.survey_leases.offer(job, range(1, 2))
    held = api.ledger.survey_leases.take()
    assert held is not None
    planner = threading.Thread(target=plan, args=(api, lease))
    planner.start()
    assert eventually(lambda: surveyed(api, job) == [0, *range(2, CHUNKS)])
    assert not is_whole(api, job)
    make(api, held)
    planner.join()
    assert is_whole(api, job)
    assert len(set(read.values())) == 1


def test_the_survey_of_a_worker_that_has_died_is_made_by_the_plan_step(
    api: RunningApi, north: httpx.Client, data: Path
) -> None:
    job = submitted(north, data)
    lease = expanded(api, job)
    dying = SurveyLeases(api.ledger.scripts, timedelta(seconds=1))
    dying.offer(job, range(1, 3))
    assert dying.take() is not None
    plan(api, lease)
    assert is_whole(api, job)


def test_a_survey_that_ends_no_time_is_left_to_the_plan_step(api: RunningApi, north: httpx.Client, data: Path) -> None:
    job = submitted(north, data)
    expanded(api, job)
    dying = SurveyLeases(api.ledger.scripts, timedelta(milliseconds=1))
    dying.offer(job, range(1, 2))
    taken = 0
    while api.ledger.scripts.ask("ZCARD", "mr:surveying"):
        taken += dying.take() is not None
    assert taken == 3
    assert api.ledger.survey_leases.withdraw(job, 1)


def test_a_survey_gives_way_and_goes_on_where_it_was(
    api: RunningApi, north: httpx.Client, data: Path, read: Counter[str]
) -> None:
    job = submitted(north, data)
    lease = expanded(api, job)
    api.ledger.survey_leases.offer(job, range(1, 2))
    held = api.ledger.survey_leases.take()
    assert held is not None

    def is_over() -> None:
        raise TimeIsUp

    make(api, held, is_over)
    assert [key for key in api.storage.list(f"jobs/{job}/survey/") if "begun" in key] != []
    again = api.ledger.survey_leases.take()
    assert again is not None
    make(api, again)
    assert api.ledger.survey_leases.take() is None
    plan(api, lease)
    assert is_whole(api, job)


def test_an_outage_of_the_source_lets_the_survey_wait(
    api: RunningApi, north: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(north, data)
    expanded(api, job)
    api.ledger.survey_leases.offer(job, range(1, 2))
    held = api.ledger.survey_leases.take()
    assert held is not None

    def away(*_: Any) -> Any:
        raise SourceUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FileReader, "stream", away)
        make(api, held)
    assert api.ledger.survey_leases.take() is None  # not yet
    assert api.ledger.survey_leases.withdraw(job, 1)
    assert surveyed(api, job) == []


def test_the_surveys_of_a_job_that_has_ended_are_dropped(api: RunningApi, north: httpx.Client, data: Path) -> None:
    job = submitted(north, data)
    expanded(api, job)
    api.ledger.survey_leases.offer(job, range(CHUNKS))
    assert north.post(f"/v1/jobs/{job}/cancel").status_code == 202
    assert api.ledger.survey_leases.take() is None
    assert api.ledger.scripts.ask("ZCARD", "mr:surveying") == 0


def test_a_run_needs_no_other_worker(api: RunningApi, north: httpx.Client, data: Path) -> None:
    job = submitted(north, data)
    planned(api)
    assert is_whole(api, job)
    assert api.ledger.scripts.ask("ZCARD", "mr:surveying") == 0
