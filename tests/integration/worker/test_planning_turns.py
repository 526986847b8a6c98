"""Planning gives way to others between two sources, whatever a job is made of, and goes on where it was."""

import time
from contextlib import closing

import httpx
import pytest

import worker.context.turn
from maskrelay.contract.records import keys
from maskrelay.contract.records.planned_items import PlannedItem
from tests.support.builders.pictures import gradient, saved
from tests.support.builders.zips import a_zip
from tests.support.drivers.api_jobs import accepted
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.driven_jobs import frames_of
from tests.support.servers.apis import RunningApi
from worker.context.job_records.plans import planned_items
from worker.plan.plan_step import plan_job


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step gives way as soon as others wait."""
    monkeypatch.setattr(worker.context.turn, "LEAST", 0.0)
    monkeypatch.setattr(worker.context.turn, "ASK", 0.0)


def turns(api: RunningApi) -> list[str]:
    """Plan everything, one turn after the other; whose turns they were."""
    parts, order = parts_of(api), list[str]()
    while (lease := parts.ledger.step_leases.take("plan")) is not None:
        order.append(lease.job)
        with closing(parts.sources()) as sources:
            plan_job(parts, sources, lease, time.monotonic() + 60)
    return order


def items_of(api: RunningApi, job: str) -> list[PlannedItem]:
    return [item for item, _ in planned_items(api.storage, job, 1)]


FILES = [saved(gradient(20 + number, 16), "TIFF") for number in range(7)]


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.usefixtures("impatient")
def test_a_job_of_many_sources_gives_way_to_another_tenants_picture(
    api: RunningApi, north: httpx.Client, south: httpx.Client, as_zip: bool
) -> None:
    sent = [a_zip(*((f"{number}.tif", file) for number, file in enumerate(FILES)))] if as_zip else FILES
    many = accepted(north, *sent)
    one = accepted(south, saved(gradient(20, 16), "PNG"))
    assert turns(api) == [many, one, many]
    begun = api.storage.get(keys.survey_begun(many, 0)).splitlines()
    assert 1 <= len(begun) < len(FILES)
    assert len(items_of(api, many)) == len(FILES)
    assert [frame.error for frame in frames_of(api, many)] == [None] * len(FILES)


@pytest.mark.usefixtures("impatient")
def test_what_was_begun_is_taken_up_and_not_looked_at_again(
    api: RunningApi, north: httpx.Client, south: httpx.Client
) -> None:
    many, one = accepted(north, *FILES), accepted(south, saved(gradient(20, 16), "PNG"))
    parts = parts_of(api)
    lease = parts.ledger.step_leases.take("plan")
    assert lease is not None
    with closing(parts.sources()) as sources:
        plan_job(parts, sources, lease, time.monotonic() + 60)
    begun = api.storage.get(keys.survey_begun(many, 0)).splitlines()
    marked = begun[0].replace(b'"size":', b'"name":"as it was found before","size":')
    assert marked != begun[0]
    api.storage.put(keys.survey_begun(many, 0), b"\n".join([marked, *begun[1:]]), "application/x-ndjson")
    assert turns(api) == [one, many]
    assert items_of(api, many)[0].source_name == "as it was found before"
