"""Watched folders become jobs, each exactly once, over a real API, a real Valkey and real folders."""

import json
import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.ledger.quotas import Usage
from tests.integration.worker.watches.watch_calls import PICTURE, add, jobs_of, looked, notify, series, until
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.drivers.api_jobs import items_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.context import WorkerContext


def test_each_of_many_series_becomes_one_job_however_events_come(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    watch = add(client, data, pattern="*.png", settle_s=0.3, period_s=1)
    names = [f"series-{number:03d}" for number in range(200)]
    stopped = threading.Event()

    def look() -> None:
        context = parts_of(api)
        while not stopped.wait(0.3):
            looked(context)

    # Two processes look at the watch.
    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        chance, events = random.Random(1), list[str]()
        for name in chance.sample(names, len(names)):
            (series(data, name) / "notes.txt").write_text("no image")
            # 30 % of the events are lost, 20 % come twice, and they come in any order.
            events += [name] * chance.choices((0, 1, 2), (30, 50, 20))[0]
            chance.shuffle(events)
            while events and chance.random() < 0.5:
                notify(client, watch, events.pop())
        for name in events:
            notify(client, watch, name)
        deadline = time.monotonic() + 120
        while len(jobs_of(api)) < len(names):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        context = parts_of(api)
        client.post(watch["events"])
        while context.ledger.watches.begin(watch["id"], context.settings.step_lease) is None:
            time.sleep(0.05)  # until a look that began after the last event has ended
    finally:
        stopped.set()
        for looker in lookers:
            looker.join()
    found = Counter(Path(items_of(api, job)[0].source).parent.name for job in jobs_of(api))
    assert found == Counter(names)
    assert all(len(items_of(api, job)) == 2 for job in jobs_of(api))
    records = [api.ledger.jobs.get(job) for job in jobs_of(api)]
    assert all(record is not None and record.tenant == "north" for record in records)


def test_a_lost_ledger_doubles_nothing_and_a_changed_folder_is_another_job(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    watch = add(client, data)
    folder = series(data, "one")
    until(lambda: len(jobs_of(api)) == 1, api)
    [first] = jobs_of(api)
    assert [item.custom_id for item in items_of(api, first)] == ["0.png", "1.png"]
    assert all(item.pin is not None and item.credential == "disk" for item in items_of(api, first))
    api.ledger.watches.forget(watch["id"])
    context = parts_of(api)
    assert looked(context) == 1  # it was submitted again, under the same id
    assert jobs_of(api) == [first]
    (folder / "2.png").write_bytes(PICTURE)
    client.post(watch["events"])
    until(lambda: len(jobs_of(api)) == 2, api)
    [second] = set(jobs_of(api)) - {first}
    assert len(items_of(api, second)) == 3


def test_the_items_of_a_watch_that_hides_identifiers_are_numbered(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    add(client, data, options={"identifiers": "hashed"})
    series(data, "one")
    until(lambda: len(jobs_of(api)) == 1, api)
    assert [item.custom_id for item in items_of(api, jobs_of(api)[0])] == ["0", "1"]


def test_a_folder_with_a_subfolder_is_one_job_and_so_is_the_subfolder(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    add(client, data, expected=2)
    folder = data / "a"
    (folder / "k").mkdir(parents=True)
    for name in ("1.png", "k/1.png", "k/2.png", "z.png"):
        (folder / name).write_bytes(PICTURE)
    until(lambda: len(jobs_of(api)) == 2, api)
    found = sorted([item.custom_id for item in items_of(api, job)] for job in jobs_of(api))
    assert found == [["1.png", "2.png"], ["1.png", "z.png"]]


def test_the_expected_number_of_objects_ends_the_wait(api: RunningApi, client: httpx.Client, data: Path) -> None:
    watch = add(client, data, settle_s=3600, expected=2)
    series(data, "whole")
    series(data, "half", 1)
    until(lambda: len(jobs_of(api)) == 1, api)
    (data / "half" / "1.png").write_bytes(PICTURE)
    client.post(watch["events"])
    until(lambda: len(jobs_of(api)) == 2, api)


def test_a_full_quota_and_a_withdrawn_right_postpone_and_lose_nothing(
    api: RunningApi, client: httpx.Client, data: Path, credentials: Path
) -> None:
    watch = add(client, data)
    series(data, "one")
    context = parts_of(api)
    most = Usage(jobs=1000, frames=100_000, interactive=100_000, bytes=1 << 60)
    context.ledger.quotas.keep("north", keys.new_id(), Usage(jobs=1000), most, context.settings.step_lease)
    assert looked(context) == 0
    assert jobs_of(api) == []
    write_credentials(credentials, {**folder_credential(data), "reads": {"south": [f"{data.as_uri()}/"]}})
    context.ledger.watches.forget(watch["id"])
    assert looked(parts_of(api)) == 0
    write_credentials(credentials, folder_credential(data))
    for reserved in context.ledger.scripts.ask("ZRANGE", "mr:holds:north", 0, -1):
        context.ledger.quotas.release("north", reserved.decode())
    context.ledger.watches.forget(watch["id"])
    assert looked(parts_of(api)) == 1
    assert len(jobs_of(api)) == 1


def test_the_keys_file_limits_the_jobs_of_watches_too(api: RunningApi, client: httpx.Client, data: Path) -> None:
    watch = add(client, data)
    series(data, "one")
    keys_file = Path(str(api.settings.keys_file))
    entries = json.loads(keys_file.read_text())
    limited = [{**entry, "quotas": {"jobs": 0}} if entry["tenant"] == "north" else entry for entry in entries]
    keys_file.write_text(json.dumps(limited))
    assert looked(parts_of(api)) == 0
    keys_file.write_text(json.dumps(entries))
    api.ledger.watches.forget(watch["id"])
    assert looked(parts_of(api)) == 1


def test_a_folder_with_more_objects_than_a_job_may_have_is_reported_and_the_others_become_jobs(
    api: RunningApi, client: httpx.Client, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(client, data)
    series(data, "large", objects=4)
    series(data, "small", objects=3)
    settings = api.settings.model_copy(update={"max_items": 3})
    assert looked(WorkerContext(settings, api.storage, api.ledger)) == 1
    assert "too_many_items" in caplog.text


def test_a_folder_that_no_quota_of_the_tenant_could_ever_hold_is_reported_and_does_not_wait(
    api: RunningApi, client: httpx.Client, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = add(client, data, period_s=3600)
    series(data, "large", objects=4)
    series(data, "small", objects=3)
    settings = api.settings.model_copy(update={"tenant_frames": 3})
    assert looked(WorkerContext(settings, api.storage, api.ledger)) == 1
    assert "too_many_items" in caplog.text
    assert api.ledger.scripts.ask("PTTL", f"mr:watch:{watch['id']}:rests") > 60_000
