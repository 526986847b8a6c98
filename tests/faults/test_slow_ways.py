"""Redis or the store answers, but so slowly that a frame takes longer than its lease: leases are renewed meanwhile."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import Scene, after, scene

pytestmark = pytest.mark.long
SLOW_FOR_S = 16


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The sweep has nothing to do but to look for leases that lapsed."""
    with scene(tmp_path_factory.mktemp("scene"), s3=True, reconcile_period_s=600) as running:
        yield running


def at_work(shared: Scene) -> None:
    """Frames that stand in line before two slots for longer than a lease, however seldom a slow sweep looks."""
    shared.begin()
    shared.simulator.set(service_time=3)
    shared.under_way(shared.submit(24), 2)


def leases_held(shared: Scene, fault: Fault) -> None:
    shared.simulator.set(service_time=0)
    fault.over()
    scored_again = check(shared)
    assert scored_again == 0, "frames were scored again"
    assert "leases lapsed" not in shared.stack.log("control")
    fault.survived(scored_again)


def test_the_store_is_slow(shared: Scene, fault: Fault) -> None:
    at_work(shared)
    shared.s3.delay_s = 4
    assert after(SLOW_FOR_S)
    shared.s3.delay_s = 0
    fault.breaks(f"each request takes 4 s more for {SLOW_FOR_S} s")
    leases_held(shared, fault)


def test_the_way_to_redis_is_slow(shared: Scene, fault: Fault) -> None:
    at_work(shared)
    shared.redis.delay_s = 0.8
    assert after(SLOW_FOR_S)
    shared.redis.mend()
    fault.breaks(f"0.8 s each way for {SLOW_FOR_S} s")
    leases_held(shared, fault)


def test_the_way_to_redis_is_narrow(shared: Scene, fault: Fault) -> None:
    at_work(shared)
    shared.redis.bytes_per_s = 4000
    assert after(SLOW_FOR_S)
    shared.redis.mend()
    fault.breaks(f"4 kB/s of each connection for {SLOW_FOR_S} s")
    leases_held(shared, fault)
