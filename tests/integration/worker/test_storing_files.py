"""Files of a job that are written to a prefix of the caller's choice, by the deliver stage's own function."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maskrelay.contract.records import keys
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import accepted, items_of, settle, succeeded
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import finished, planned
from tests.support.drivers.sending import send_all
from tests.support.servers.apis import RunningApi, running_api
from worker.deliver import prefix_delivery
from worker.sweep.watch_pass import WatchPass

CONTENT = saved(gradient(), "PNG")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (tmp_path / "lake" / "results").mkdir(parents=True)
    (tmp_path / "lake" / "other").mkdir()
    return tmp_path / "lake"


@pytest.fixture
def credentials(tmp_path: Path, lake: Path) -> Path:
    return write_credentials(tmp_path / "credentials.json", entry(lake, "results"))


def entry(lake: Path, *folders: str) -> dict[str, Any]:
    writes = {"north": [f"{(lake / folder).as_uri()}/" for folder in folders]}
    return {"name": "lake", "kind": "file", "writes": writes}


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


def job_of(api: RunningApi, north: httpx.Client, **options: Any) -> str:
    job = accepted(north, b"a", b"b", options={"outputs": ["mask", "overlay"], "store_to": "lake", **options})
    planned(api)
    settle(api, job, 1, *(succeeded(api, job, frame, content=CONTENT) for frame in (0, 1)))
    finished(api, job)
    return job


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def state(north: httpx.Client, job: str) -> tuple[str, str | None]:
    [shown] = north.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    return shown["state"], shown.get("reason")


NAMES = ("0-0-0.mask.png", "0-0.overlay.png", "1-1-0.mask.png", "1-1.overlay.png")


def test_the_files_of_a_job_are_written_below_the_prefix_of_the_credential(
    api: RunningApi, north: httpx.Client, lake: Path
) -> None:
    job = job_of(api, north)
    send_all(api)
    assert files(lake / "results") == {f"{job}/{name}": CONTENT for name in NAMES}
    assert state(north, job) == ("delivered", "ok")
    assert api.objects("live/") == []


def test_a_withdrawn_right_delays_the_files_and_a_replay_writes_them_again(
    api: RunningApi, north: httpx.Client, lake: Path, credentials: Path
) -> None:
    write_credentials(credentials, entry(lake, "results", "other"))
    job = job_of(api, north, store_prefix=f"{(lake / 'other').as_uri()}/run7/")
    (lake / "other" / "run7").mkdir()
    write_credentials(credentials, entry(lake, "results"))
    send_all(api)
    assert (state(north, job), files(lake)) == (("waiting", "credential"), {})
    write_credentials(credentials, entry(lake, "other"))
    send_all(api)
    assert files(lake) == {f"other/run7/{job}/{name}": CONTENT for name in NAMES}
    (lake / "other" / "run7" / job / NAMES[0]).unlink()
    [shown] = north.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
    assert north.post(f"/v1/jobs/{job}/deliveries/{shown['event']}/replay").status_code == 202
    send_all(api)
    assert len(files(lake)) == len(NAMES)


def test_an_attempt_continues_where_the_last_one_ended(
    api: RunningApi, north: httpx.Client, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, copied = job_of(api, north), list[str]()
    copy = prefix_delivery._copy

    def failing_once(storage: Any, target: Any, file: Any, key: str) -> None:
        copied.append(key)
        if copied.count(key) == 1 and key.endswith("1-1-0.mask.png"):
            raise prefix_delivery._TargetUnavailable("away")
        copy(storage, target, file, key)

    monkeypatch.setattr(prefix_delivery, "_copy", failing_once)
    send_all(api)
    assert state(north, job) == ("waiting", "away")
    send_all(api)
    assert state(north, job) == ("delivered", "ok")
    assert copied == [f"{job}/{NAMES[number]}" for number in (0, 1, 2, 2, 3)]
    assert len(files(lake)) == len(NAMES)


@pytest.mark.parametrize(
    ("options", "code", "pointer"),
    [
        ({"store_to": "lake", "store_prefix": "file:///elsewhere/"}, "source_not_allowed", "store_prefix"),
        ({"store_to": "lake", "store_prefix": "LAKE/results/sub"}, "source_invalid", "store_prefix"),
        ({"store_to": "lake", "store_prefix": "LAKE/results/a%20b/"}, "source_invalid", "store_prefix"),
        ({"store_to": "lake", "store_prefix": "nonsense"}, "source_invalid", "store_prefix"),
        ({"store_to": "unknown"}, "credential_unknown", "store_to"),
        ({"store_prefix": "LAKE/results/"}, "option_invalid", "store_prefix"),
    ],
)
def test_a_place_to_which_the_tenant_may_not_write_is_refused_at_submission(
    api: RunningApi, north: httpx.Client, lake: Path, options: dict[str, str], code: str, pointer: str
) -> None:
    given = {name: value.replace("LAKE", lake.as_uri()) for name, value in options.items()}
    answer = north.post(
        "/v1/jobs", files=[("image", ("a.png", CONTENT))], data={"prompt": "liver", "options": json.dumps(given)}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert problem["errors"][0]["pointer"] == f"#/options/{pointer}"


def test_a_watch_does_not_write_below_its_own_prefix(
    api: RunningApi, north: httpx.Client, lake: Path, credentials: Path
) -> None:
    write_credentials(credentials, entry(lake, "results"), folder_credential(lake))
    asked = {"source": f"{lake.as_uri()}/", "prompts": ["liver"], "options": {"store_to": "lake"}}
    answer = north.post("/v1/watches", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")


def test_a_watch_makes_no_job_of_the_results_of_other_jobs(
    api: RunningApi, north: httpx.Client, lake: Path, credentials: Path
) -> None:
    """Otherwise, two watches with the sources and the destinations exchanged would never end."""
    write_credentials(credentials, entry(lake, "results"), folder_credential(lake))
    asked = {"source": f"{lake.as_uri()}/", "credential": "disk", "prompts": ["liver"], "settle_s": 0}
    assert north.post("/v1/watches", json=asked).status_code == 201
    job = job_of(api, north)
    send_all(api)
    assert len(files(lake / "results" / job)) == len(NAMES)
    (lake / "other" / ("a" * 26)).mkdir()
    (lake / "other" / ("a" * 26) / "1.png").write_bytes(CONTENT)
    watch_pass = WatchPass(parts_of(api))
    assert watch_pass.make() == 1
    made = [key.split("/")[1] for key in api.storage.list(keys.JOBS) if key.endswith("/job.json")]
    [other] = set(made) - {job}
    assert [Path(item.source).parent.name for item in items_of(api, other)] == ["a" * 26]
