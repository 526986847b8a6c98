"""Watches: new folders become jobs, each exactly once, over a real API, a real Valkey and real folders."""

import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from maskrelay.callbacks.sealing import unseal
from maskrelay.contract.records import keys
from maskrelay.ledger.quotas import Usage
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.builders.pictures import gradient, saved
from tests.support.drivers.api_jobs import items_of, submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import SERVER_KEY, RunningApi, running_api
from worker.context import WorkerContext
from worker.sweep import watch_pass as passes
from worker.sweep.watch_pass import WatchPass

PROMPT = "liver in abdomen CT"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
PICTURE = saved(gradient(), "PNG")


@pytest.fixture
def credentials(tmp_path: Path, data: Path) -> Path:
    return write_credentials(tmp_path / "credentials.json", folder_credential(data))


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    limits = {"tenant_jobs": 1000, "tenant_frames": 100_000, "tenant_interactive": 100_000}
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials), **limits) as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def add(client: httpx.Client, data: Path, **more: Any) -> dict[str, Any]:
    asked = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], "settle_s": 0.0, "period_s": 1, **more}
    answer = client.post("/v1/watches", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()


def series(data: Path, name: str, objects: int = 2) -> Path:
    folder = data / name
    folder.mkdir()
    for number in range(objects):
        (folder / f"{number}.png").write_bytes(PICTURE)
    return folder


def jobs_of(api: RunningApi) -> list[str]:
    return [key.split("/")[1] for key in api.storage.list(keys.JOBS) if key.endswith("/job.json")]


def looked(context: WorkerContext) -> int:
    """Look at every watch that is due. Return the number of submitted folders."""
    watch_pass = WatchPass(context)
    submitted = watch_pass.make()
    while watch_pass.looks:
        submitted += watch_pass.make(begin=False)
    return submitted


def until(check: Callable[[], bool], api: RunningApi) -> None:
    """Make passes until the check holds."""
    context, deadline = parts_of(api), time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        looked(context)


def notify(client: httpx.Client, watch: dict[str, Any], name: str) -> None:
    body = {"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": {"object": {"key": f"{name}/1.png"}}}]}
    assert client.post(watch["events"], json=body).json() == {}


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


def test_a_prefix_that_cannot_be_listed_is_tried_again_after_a_minute_however_long_the_period(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    """A notification that came during an outage would otherwise be lost for a whole period."""
    watch = add(client, data, period_s=86400)
    data.rename(data.with_name("away"))
    client.post(watch["events"])
    assert looked(parts_of(api)) == 0
    assert 0 < api.ledger.scripts.ask("PTTL", f"mr:watch:{watch['id']}:rests") <= 60_000


def test_a_watch_that_was_removed_after_the_keys_were_listed_makes_no_job(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    watch, watch_pass = add(client, data), WatchPass(parts_of(api))
    assert watch_pass.make() == 0
    series(data, "one")
    assert client.delete(f"/v1/watches/{watch['id']}").status_code == 204
    watch_pass._begin(keys.watch("north", watch["id"]))
    assert not watch_pass.looks
    assert api.ledger.scripts.ask("KEYS", f"mr:watch:{watch['id']}:*") == []


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


def test_a_long_listing_is_made_in_slices_and_others_are_not_kept_waiting(
    api: RunningApi,
    client: httpx.Client,
    data: Path,
    credentials: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    reads = {"north": [f"{data.as_uri()}/"], "south": [f"{other.as_uri()}/"]}
    write_credentials(credentials, {**folder_credential(data), "reads": reads})
    add(client, data)
    with api.client("south") as south:
        add(south, other)
    for number in range(5):
        series(data, f"series-{number}")
    series(other, "one")
    monkeypatch.setattr(passes, "SLICE_S", 0.0)  # one folder in each slice
    watch_pass = WatchPass(parts_of(api))
    assert watch_pass.make() == 2
    assert {submission_of(api, job).tenant for job in jobs_of(api)} == {"north", "south"}
    assert [watch_pass.make(begin=False) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert not watch_pass.looks
    assert len(jobs_of(api)) == 6


def test_a_look_that_its_process_has_left_is_begun_again_by_another(
    api: RunningApi, client: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = add(client, data)
    for number in range(3):
        series(data, f"series-{number}")
    monkeypatch.setattr(passes, "SLICE_S", 0.0)
    first, second = WatchPass(parts_of(api)), WatchPass(parts_of(api))
    assert first.make() == 1
    assert second.make() == 0
    assert not second.looks
    api.ledger.scripts.ask("UNLINK", f"mr:watch:{watch['id']}:lease")  # as if it had lapsed
    assert looked(parts_of(api)) == 2
    assert first.make(begin=False) == 0  # the first process has been too slow
    assert not first.looks
    assert len(jobs_of(api)) == 3


def test_the_leases_of_all_looks_are_renewed_while_the_slices_of_others_are_made(
    api: RunningApi, client: httpx.Client, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty slices of two seconds take as long as a lease. No look would ever have ended."""
    ids = [add(client, data)["id"] for _ in range(3)]
    for number in range(3):
        series(data, f"series-{number}")
    monkeypatch.setattr(passes, "SLICE_S", 0.0)
    watch_pass, ask = WatchPass(parts_of(api)), api.ledger.scripts.ask
    watch_pass.make()
    first, second, lapsed = (f"mr:watch:{watch}:lease" for watch in ids)
    ask("PEXPIRE", first, 5000)
    ask("PEXPIRE", second, 5000)
    ask("UNLINK", lapsed)
    watch_pass._leases_kept_at -= passes.LEASE.total_seconds()
    watch_pass._keep_leases()
    assert sorted(watch_pass.looks) == sorted(ids[:2])
    assert min(ask("PTTL", first), ask("PTTL", second)) > 5000


def test_what_was_seen_of_folders_that_are_gone_is_forgotten(api: RunningApi, client: httpx.Client, data: Path) -> None:
    watch = add(client, data)
    for name in ("one", "two"):
        series(data, name)
    until(lambda: len(jobs_of(api)) == 2, api)
    shutil.rmtree(data / "one")
    for _ in range(2):
        client.post(watch["events"])
        assert looked(parts_of(api)) == 0
    assert api.ledger.scripts.ask("HLEN", f"mr:watch:{watch['id']}:seen") == 1
    assert api.ledger.scripts.ask("EXISTS", f"mr:watch:{watch['id']}:seen_now") == 0
    assert api.ledger.scripts.ask("PTTL", f"mr:watch:{watch['id']}:seen") > 0


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


def test_options_reach_the_jobs_and_a_callback_secret_is_sealed_for_each(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    callback = {"url": "http://127.0.0.1:9/", "secret": SECRET}
    add(client, data, options={"outputs": ["mask"], "metadata": {"study": 5}, "callback": callback})
    series(data, "one")
    until(lambda: len(jobs_of(api)) == 1, api)
    [job] = jobs_of(api)
    submission = submission_of(api, job)
    assert (submission.outputs, submission.metadata, submission.lane) == (("mask",), {"study": 5}, "interactive")
    assert submission.callback is not None
    assert submission.callback.sealed is not None
    assert unseal(SERVER_KEY.encode(), submission.callback.sealed, job) == SECRET


def test_watches_are_listed_and_removed_by_their_tenant_alone(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    watch = add(client, data, pattern="*.dcm")
    listed = client.get("/v1/watches").json()["watches"]
    assert listed == [watch]
    with api.client("south") as other:
        assert other.get("/v1/watches").json() == {"watches": []}
        assert other.post(watch["events"]).status_code == 404
        assert other.delete(f"/v1/watches/{watch['id']}").status_code == 404
    assert client.delete(f"/v1/watches/{watch['id']}").status_code == 204
    assert client.delete(f"/v1/watches/{watch['id']}").status_code == 404
    series(data, "one")
    assert looked(parts_of(api)) == 0


def test_a_repeated_request_with_an_idempotency_key_makes_one_watch(
    api: RunningApi, client: httpx.Client, data: Path
) -> None:
    def asked(key: str, at: httpx.Client = client, **more: Any) -> httpx.Response:
        callback = {"url": "http://127.0.0.1:9/", "secret": SECRET}
        body = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], "options": {"callback": callback}, **more}
        return at.post("/v1/watches", json=body, headers={"Idempotency-Key": key})

    first, again, other = asked("a"), asked('"a"'), asked("b")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert other.json()["id"] != first.json()["id"]
    assert asked("a", settle_s=1).json()["id"] not in {first.json()["id"], other.json()["id"]}
    assert len(client.get("/v1/watches").json()["watches"]) == 3
    assert client.delete(f"/v1/watches/{first.json()['id']}").status_code == 204
    assert asked("a").json()["id"] == first.json()["id"]


def test_event_grid_validates_the_address(api: RunningApi, client: httpx.Client, data: Path) -> None:
    watch = add(client, data)
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    answer = client.post(watch["events"], json=[{"eventType": kind, "data": {"validationCode": "512d38b6"}}])
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    deep = client.post(watch["events"], content=b"[" * 40 + b"]" * 40, headers={"content-type": "application/json"})
    assert (deep.status_code, deep.json()["code"]) == (422, "nested_too_deep")


@pytest.mark.parametrize(
    ("changed", "code", "pointer"),
    [
        ({"source": "s3://other/"}, "source_not_allowed", "#/source"),
        ({"source": "file:///nowhere"}, "source_invalid", "#/source"),
        ({"source": "https://images.example/in/"}, "source_invalid", "#/source"),
        ({"credential": "unknown"}, "credential_unknown", "#/credential"),
        ({"prompts": []}, "no_prompts", "#/prompts"),
        ({"settle_s": -1}, "option_invalid", "#/settle_s"),
        ({"options": {"deadline": 60}}, "option_invalid", "#/options/deadline"),
        ({"options": {"callback": {"url": "http://127.0.0.1:9/"}}}, "option_invalid", "#/options/callback/secret"),
        ({"unknown": 1}, "option_unknown", "#/unknown"),
    ],
)
def test_a_watch_that_cannot_work_is_refused(
    client: httpx.Client, data: Path, changed: dict[str, Any], code: str, pointer: str
) -> None:
    asked = {"source": f"{data.as_uri()}/", "prompts": [PROMPT], **changed}
    answer = client.post("/v1/watches", json=asked)
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == (code, pointer)
