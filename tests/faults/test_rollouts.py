"""Processes come and go under load, as a Deployment lets them: nothing is lost or done twice, and no caller sees it."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result
from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.callers import calling
from tests.support.drivers.stack_behind_proxies import TENANTS, Scene, scene
from tests.support.servers.releases import (
    NEXT,
    PRESENT,
    next_release,
    ran_by_the_next,
)
from tests.support.servers.replicas import keep_segments, replace_api, replace_worker
from tests.support.servers.services import service_before
from tests.support.servers.simulators import eventually

#: Of an endpoint that bears so many, and of workers with so few hands, four have work to do.
ROOM_FOR_FOUR = {"bearing": 8, "endpoint_max_in_flight": 8, "hands": 4}


def releases_that_finished(running: Scene) -> set[str]:
    """By whose release the jobs say that they were finished."""
    results = (Result.model_validate_json(running.storage.get(keys.result(job.id))) for job in running.sent)
    return {result.software["maskrelay"] for result in results}


def roll_out(running: Scene, folder: Path, fault: Fault, *, workers: Sequence[str]) -> set[str]:
    """Replace the API and these workers under load, then check; the scripts that the next release has run."""
    release = next_release(folder)
    running.simulator.set(service_time=0.3)
    with service_before(running) as service, calling(running, 2) as callers:
        callers.watch(running.submit(150, tenant=TENANTS[1]))
        callers.await_turn()
        replace_api(running, service, release)
        for name in workers:
            replace_worker(running, name, release)
        running.simulator.set(service_time=0)
        fault.breaks(f"api, {', '.join(workers)} replaced one after the other by those of another release")
        fault.over()
        callers.await_turn()
        assert httpx.get(f"{running.url}/openapi.json", trust_env=False).json()["info"]["version"] == NEXT
        callers.end()
        assert callers.troubles == []
        check_nothing_twice(running, fault)
    return ran_by_the_next(running.ledger)


def check_nothing_twice(running: Scene, fault: Fault) -> None:
    """The check; and whoever was told to end has finished or given back all that it held."""
    scored_again = check(running)
    assert scored_again == 0, "frames were scored again"
    assert "leases lapsed" not in running.stack.log("control")
    fault.survived(scored_again)


@pytest.mark.slow_subject("rollouts")
def test_api_and_segment_are_replaced_by_the_next_release_under_load(tmp_path, fault: Fault):
    with scene(tmp_path, claim_lease_s=60) as running:
        assert roll_out(running, tmp_path, fault, workers=["segment"]) >= {"create", "settle"}


@pytest.mark.long
def test_every_process_is_replaced_by_the_next_release_under_load(tmp_path, fault: Fault):
    with scene(tmp_path, s3=True, claim_lease_s=60) as running:
        done = {"create", "settle", "assemble_done", "conclude", "end_delivery"}
        assert roll_out(running, tmp_path, fault, workers=["segment", "assemble", "control", "deliver"]) >= done
        assert releases_that_finished(running) == {PRESENT, NEXT}


@pytest.mark.long
def test_segment_workers_are_scaled_from_one_to_four_and_back_under_load(tmp_path, fault: Fault):
    with scene(tmp_path, s3=True, claim_lease_s=60, **ROOM_FOR_FOUR) as running:
        running.simulator.set(service_time=2)  # slow enough that work is left when the fourth has started
        with calling(running, 2) as callers:
            callers.watch(running.submit(300, tenant=TENANTS[1]))
            callers.await_turn()
            keep_segments(running, 4)
            assert eventually(lambda: loops(running) == 4, within_s=60), "not all of the four work"
            for count in (3, 2, 1):
                keep_segments(running, count)
            running.simulator.set(service_time=0)
            fault.breaks("three more segment workers started, then told to end one after the other")
            fault.over()
            callers.await_turn()
        assert callers.troubles == []
        check_nothing_twice(running, fault)


def loops(running: Scene) -> int:
    """How many segment workers say that they are at work."""
    return running.valkey.ledger().metrics.snapshot().known["loops"]["segment"]
