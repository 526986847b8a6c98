"""Redis is away, full, slow, or loses its last second: work waits, and goes on by itself."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import (
    PROMPT,
    TENANTS,
    Scene,
    Sent,
    after,
    key_of,
    pictures,
    scene,
)
from tests.support.servers.simulators import eventually

pytestmark = pytest.mark.long
#: Longer than any client of Redis here waits for an answer.
AWAY_S = 8


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


def under_load(shared: Scene) -> list[Sent]:
    """Two jobs in two lanes, some frames of each settled, others in hand, others waiting."""
    shared.begin()
    shared.simulator.set(service_time=0.2)
    jobs = [shared.submit(16), shared.submit(24, tenant=TENANTS[1])]
    shared.under_way(jobs[0], 2)
    return jobs


def ready(shared: Scene) -> bool:
    return httpx.get(f"{shared.stack.url}/readyz", timeout=30).status_code == 200


def test_redis_is_killed_and_started_again(shared: Scene, fault: Fault):
    under_load(shared)
    shared.valkey.kill()
    assert not ready(shared)
    assert after(AWAY_S)
    shared.valkey.start()
    fault.breaks(f"Redis away for {AWAY_S} s")
    fault.over()
    fault.survived(check(shared))


def test_redis_is_frozen(shared: Scene, fault: Fault):
    under_load(shared)
    shared.valkey.pause()
    assert not ready(shared)
    assert after(AWAY_S)
    shared.valkey.go_on()
    fault.breaks(f"SIGSTOP to Redis for {AWAY_S} s")
    fault.over()
    fault.survived(check(shared))


def test_redis_loses_its_last_second(shared: Scene, fault: Fault):
    """A host that dies with `appendfsync everysec`: what was written since the last flush is gone."""
    under_load(shared)
    (log,) = shared.valkey.folder.glob("appendonlydir/*.incr.aof")
    flushed = log.stat().st_size
    shared.submit(6, tenant=TENANTS[2])
    assert after(1)
    shared.valkey.kill()
    assert log.stat().st_size > flushed
    with log.open("r+b") as opened:
        opened.truncate(flushed)
    shared.valkey.start()
    fault.breaks("Redis killed, its log cut to what it was a second before")
    fault.over()
    fault.survived(check(shared))


def test_redis_is_full(shared: Scene, fault: Fault):
    """It answers and refuses every write: nothing is accepted that would have no end, what was accepted waits."""
    under_load(shared)
    shared.ledger.config_set("maxmemory", 1)
    try:
        assert not ready(shared)
        files = [("image", (path.name, path.read_bytes())) for path in pictures(shared.folder / "in", 2, first=5000)]
        headers = {"authorization": f"Bearer {key_of('west')}"}
        options = '{"outputs": ["mask"]}'
        for named in ({}, {"idempotency-key": '"full"'}):
            about = {"files": files, "data": {"prompt": PROMPT, "options": options}, "headers": {**headers, **named}}
            answer = httpx.post(f"{shared.stack.url}/v1/jobs", **about, timeout=30)
            assert (answer.status_code, answer.json()["code"]) == (503, "ledger_full")
        assert after(AWAY_S)
    finally:
        shared.ledger.config_set("maxmemory", 0)
    fault.breaks(f"Redis refuses writes for {AWAY_S} s")
    fault.over()
    fault.survived(check(shared))


def _cut(shared: Scene) -> None:
    shared.redis.cut()
    assert after(AWAY_S)


def _lost(shared: Scene) -> None:
    shared.redis.lose()


NETWORK: dict[str, tuple[Callable[[Scene], None], str]] = {
    "every connection is cut": (_cut, f"connections reset and refused for {AWAY_S} s"),
    "every connection goes dead": (_lost, "connections to Redis pass nothing any more, nobody is told"),
}


@pytest.mark.parametrize("what", NETWORK)
def test_the_way_to_redis(shared: Scene, fault: Fault, what: str):
    under_load(shared)
    breaks, told = NETWORK[what]
    breaks(shared)
    shared.redis.mend()
    fault.breaks(told)
    fault.over()
    fault.survived(check(shared))


def test_new_work_is_heard_of_after_every_connection_went_dead(shared: Scene, fault: Fault):
    """Idle workers wait on connections that will never say anything again."""
    shared.begin()
    shared.under_way(shared.submit(2), 2)
    check(shared)
    shared.redis.lose()
    fault.breaks("idle connections to Redis pass nothing any more, nobody is told")
    fault.over()

    def submitted() -> bool:
        try:
            shared.submit(6)
        except Exception:
            return False
        return True

    assert eventually(submitted, within_s=60)
    fault.survived(check(shared))
