"""A look at a watch: its slices, its lease, and what it leaves in the ledger."""

import shutil
from pathlib import Path

import httpx
import pytest

from maskrelay.contract.records import keys
from tests.integration.worker.watches.watch_calls import add, jobs_of, looked, series, until
from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.drivers.api_jobs import submission_of
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.servers.apis import RunningApi
from worker.sweep import watch_pass as passes
from worker.sweep.watch_pass import WatchPass


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
