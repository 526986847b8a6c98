"""Redis is emptied or rolled back under load: storage is the verdict."""

import shutil
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check, delivered, told
from tests.support.drivers.stack_behind_proxies import TENANTS, Scene, scene
from tests.support.servers.simulators import eventually


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


def test_everything_is_flushed_in_the_middle_of_ten_jobs_of_three_tenants(running: Scene, fault: Fault):
    # So slow that the last jobs have far to go when the first are told of, however late that is.
    running.simulator.set(service_time=0.4)
    jobs = [running.submit(4 + 4 * number, tenant=TENANTS[number % 3]) for number in range(10)]
    assert eventually(lambda: len(delivered(running)) >= 2, within_s=120)
    assert running.settled(jobs[-1]) < len(jobs[-1].frames), "nothing is left to be lost"
    running.ledger.flushall()
    running.simulator.set(service_time=0)
    over_before = {event: count for event, count in told(running).items() if event in delivered(running)}
    fault.breaks("FLUSHALL")
    fault.over()
    fault.survived(check(running))
    assert {event: told(running)[event] for event in over_before} == over_before


def test_redis_is_restored_from_a_copy_five_seconds_old(running: Scene, tmp_path, fault: Fault):
    running.simulator.set(service_time=0.3)
    running.under_way(running.submit(24), 2)
    copied_at, copy = time.monotonic(), tmp_path / "copy"

    def work_goes_on() -> bool:
        running.submit(24, tenant=TENANTS[1])
        return eventually(lambda: time.monotonic() - copied_at > 5)

    rolled_back(running, work_goes_on, copy)
    running.simulator.set(service_time=0)
    fault.breaks("Redis ended, started again from a copy of its files 5 s old")
    fault.over()
    fault.survived(check(running))


def rolled_back(running: Scene, meanwhile, copy) -> None:
    """Copy Redis' files, let `meanwhile` pass, then end it and go on from the copy."""
    running.ledger.config_set("appendfsync", "always")
    running.ledger.set("marker", 1)
    shutil.copytree(running.valkey.folder, copy)
    assert meanwhile()
    running.valkey.kill()
    shutil.rmtree(running.valkey.folder)
    shutil.copytree(copy, running.valkey.folder)
    running.valkey.start()
