"""Property: whatever lies in the store, under whatever key, no pass over many objects fails, and other jobs go on."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskrelay.callbacks.address_guard import AddressGuard
from maskrelay.callbacks.callback_sender import CallbackSender
from maskrelay.client.cli import main
from maskrelay.contract.records import keys
from maskrelay.errors import KeyInvalid, StorageUnavailable
from maskrelay.storage.file_store import FileStorage
from tests.support.builders.hostile import (
    STRANGER,
    bodies,
    record_keys,
    sample,
    strange_keys,
)
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import later, parts_of
from tests.support.drivers.driven_jobs import (
    by_frame,
    finished,
    planned,
    scored,
)
from tests.support.servers.apis import (
    SERVER_KEY,
    SMALL_LIMITS,
    RunningApi,
    running_api,
)
from worker.cleanup.cleanup_pass import clear, expire
from worker.cleanup.expiry import expire_jobs, retire_all
from worker.context.job_records.plans import Plans
from worker.deliver.event_delivery import deliver_due
from worker.sweep.reconcile import reconcile
from worker.sweep.recover import recover, recover_and_print
from worker.sweep.sweep_pass import sweep

STATES = ("accepted", "running", "cancelling", "finished")
#: Nothing listens there: an attempt fails at once.
HOOK = {"url": "http://127.0.0.1:9/hook", "events": ["job.accepted", "job.succeeded", "job.partial"]}
EXAMPLES = 15


@dataclass(frozen=True)
class World:
    """A store with a job in each state, as it was copied, and another job of the same tenant that has to go on."""

    api: RunningApi
    copy: Path
    redis_url: str
    jobs: dict[str, str]
    other: str
    done: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, api_valkey: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    with redis.Redis.from_url(api_valkey) as client, running_api(folder / "store", api_valkey, **SMALL_LIMITS) as api:
        client.flushall()
        with api.client() as north:
            finishing, done = (accepted(north, b"a", one, options={"callback": HOOK}) for one in (b"b", b"c"))
            planned(api)
            scored(api, by_frame({1: "truncated"}))
            finished(api, done)
            running, other = (accepted(north, b"d", one, options={"callback": HOOK}) for one in (b"e", b"f"))
            planned(api)
            scored(api, by_frame({1: "truncated"}))
            jobs = {"finished": finishing, "running": running}
            jobs["accepted"] = accepted(north, b"h")
            jobs["cancelling"] = accepted(north, b"i")
            north.post(f"/v1/jobs/{jobs['cancelling']}/cancel")
        shutil.copytree(folder / "store", folder / "copy")
        yield World(api, folder / "copy", api_valkey, jobs, other, done)


def put(folder: Path, key: str, body: bytes) -> None:
    """Write the object as somebody would who has the store's own credentials."""
    try:
        FileStorage(folder).put(key, body)
    except (KeyInvalid, StorageUnavailable):  # a folder is in its place, or a file in that of its folder
        path = folder / key
        while not path.parent.is_dir() or path.is_dir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path = path.parent
                path.unlink(missing_ok=True) if path.is_file() else None
                (folder / key).parent.mkdir(parents=True, exist_ok=True)
                path = folder / key
        path.write_bytes(body)


def put_back(world: World) -> None:
    shutil.rmtree(world.api.folder)
    shutil.copytree(world.copy, world.api.folder)
    with redis.Redis.from_url(world.redis_url) as client:
        client.flushall()


def passes(api: RunningApi) -> None:
    """Every pass over many objects, as the workers run them."""
    parts = parts_of(api)
    reconcile(parts)
    sweep(parts, Plans(api.storage), compare_every=None)
    clear(parts, later(minutes=11))
    expire(parts, later(minutes=61))
    recover(parts, later(minutes=61))
    deliver_due(
        parts, CallbackSender(AddressGuard(("127.0.0.1",)), timeout=timedelta(seconds=1)), time.monotonic() + 10
    )
    expire_jobs(parts, later())
    retire_all(parts)
    clear(parts, later(minutes=30))
    parts.recorder.tell()


def check_commands(monkeypatch: pytest.MonkeyPatch, api: RunningApi) -> None:
    monkeypatch.setenv("MASKRELAY_REDIS_URL", api.settings.redis_url.get_secret_value())
    monkeypatch.setenv("MASKRELAY_STORAGE_URL", api.settings.storage_url)
    monkeypatch.setenv("MASKRELAY_SERVER_KEY", SERVER_KEY)
    assert recover_and_print() == 0
    assert main(["audit", "verify"]) in {0, 1}  # 1: it names what is no file of the log
    assert main(["audit", "show"]) == 0


def check_answers(world: World) -> None:
    """What a fresh API process answers of the jobs that nobody touched."""
    with (
        running_api(world.api.folder, world.redis_url, **SMALL_LIMITS) as api,
        api.client() as north,
        api.client("writer") as writer,
    ):
        page = north.get("/v1/jobs").json()
        assert {world.other, world.done} <= {one["id"] for one in page["jobs"]}
        for job in (world.other, world.done):
            for what in ("", "/items", "/dead-letters", "/deliveries"):
                assert north.get(f"/v1/jobs/{job}{what}").status_code == 200
        assert writer.post("/v1/redrive").status_code == 202
        assert "maskrelay_bad_objects_total" in north.get("/metrics").text


def check(world: World, monkeypatch: pytest.MonkeyPatch, objects: dict[str, bytes]) -> None:
    put_back(world)
    for key, body in objects.items():
        put(world.api.folder, key, body)
    passes(world.api)
    record = world.api.ledger.jobs.get(world.other)
    assert record is not None
    assert record.state in {"accepted", "running"}
    assert record.frames.succeeded + record.frames.failed == 2
    check_commands(monkeypatch, world.api)
    check_answers(world)


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_object_of_any_kind_makes_a_pass_fail(
    world: World, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    job = world.jobs[data.draw(st.sampled_from(STATES))]
    copy = FileStorage(world.copy)
    known = list(copy.list(keys.objects(job)))
    places = st.sampled_from(sorted({*known, *record_keys(job), *strange_keys(job)}))
    objects = {}
    for key in data.draw(st.lists(places, min_size=1, max_size=4, unique=True)):
        original = copy.get(key) if key in known else sample(job, key)
        objects[key] = data.draw(bodies(original))
    check(world, monkeypatch, objects)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\x00", b'{"a":' * 1000 + b"1" + b"}" * 1000], ids=["empty", "binary", "deep"]
)
def test_every_key_at_once_may_hold_rubbish(world: World, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    objects = {key: body for job in world.jobs.values() for key in (*record_keys(job), *strange_keys(job))}
    check(world, monkeypatch, objects)


def test_a_job_of_a_stranger_who_knows_the_form_is_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = sample(STRANGER, keys.accepted(STRANGER))
    check(world, monkeypatch, {keys.accepted(STRANGER): body, keys.live(STRANGER): b""})
