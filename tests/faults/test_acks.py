"""Redis goes away exactly between a task's end and its acknowledgement."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from maskrelay.ledger.broker import broker
from tests.faults.conftest import Fault
from tests.faults.soak_faults import WORKERS
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import Scene, scene
from tests.support.proxies.redis_proxy import Command
from tests.support.servers.simulators import eventually

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as running:
        yield running


def is_acknowledgement(command: Command) -> bool:
    return command[:1] == [b"ZREM"] and command[1].endswith(b"unacked_index")


@pytest.mark.parametrize("name", WORKERS)
def test_redis_is_away_when_a_task_is_acknowledged(shared: Scene, fault: Fault, name: str) -> None:
    shared.begin()
    for other in set(WORKERS) - {name}:
        shared.kill(other)
    log = shared.folder / "data" / "logs" / f"{name}.log"
    before = log.read_text().count("Couldn't ack") if log.exists() else 0
    queue = {"control": "plan"}.get(name, name)
    with shared.redis.held(is_acknowledgement) as hold:
        broker(shared.valkey.url, visibility_timeout=timedelta(minutes=10)).send_task(queue, queue=queue)
        hold.await_caught()
        shared.redis.cut()
    fault.breaks("Redis cut off before an acknowledgement")
    assert eventually(lambda: log.read_text().count("Couldn't ack") > before, within_s=60)
    shared.redis.mend()
    for other in set(WORKERS) - {name}:
        shared.start(other)
    fault.over()
    shared.submit(3)
    fault.survived(check(shared))
