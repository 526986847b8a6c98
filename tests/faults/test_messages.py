"""A Celery message may be lost, doubled or late: the ledger is the truth."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import Scene, scene, whenever
from tests.support.servers.simulators import eventually

QUEUES = ("plan", "segment", "assemble", "finish", "tabulate", "deliver")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), segment_children=2, control_children=2) as running:
        yield running


def test_every_message_sent_while_nobody_listens_is_dropped(running: Scene, fault: Fault):
    """The wake-ups of a submission, of its plan and of its event never arrive; the sweep's later ones do."""
    for name in ("control", "segment", "deliver"):
        running.kill(name)
    dropped = dict.fromkeys(("plan", "segment", "deliver"), 0)

    def drop_all_but_the_started() -> None:
        for queue in [*dropped] if dropped["plan"] == 0 else ["segment", "deliver"]:
            dropped[queue] += running.ledger.delete(queue)

    with whenever(drop_all_but_the_started, every_s=0.005):
        running.submit(30)
        assert eventually(lambda: dropped["plan"] == 1, within_s=60)
        running.start("control")
        assert eventually(lambda: dropped["segment"] >= 2, within_s=120)
    running.start("segment")
    with whenever(lambda: dropped.update(deliver=dropped["deliver"] + running.ledger.delete("deliver")), every_s=0.005):
        assert eventually(lambda: dropped["deliver"] >= 2, within_s=120)
    running.start("deliver")
    fault.breaks("every message deleted from its queue while no worker was there")
    fault.over()
    fault.survived(check(running))


def test_every_message_is_doubled(running: Scene, fault: Fault):
    doubled = running.ledger.register_script(
        "for _, queue in ipairs(KEYS) do local said = redis.call('LINDEX', queue, 0) "
        "if said and redis.call('LLEN', queue) < 20 then redis.call('LPUSH', queue, said) end end"
    )
    with whenever(lambda: doubled(keys=QUEUES), every_s=0.01):
        job = running.submit(30)
        running.under_way(job, 30)
    fault.breaks("every message copied in its queue, again and again")
    fault.over()
    scored_again = check(running)
    assert scored_again == 0, "frames were scored again"
    fault.survived(scored_again)


@pytest.mark.long
def test_every_message_comes_late(running: Scene, fault: Fault):
    """What is sent while the workers start is taken away, and comes when the job is long over."""
    running.kill("segment")
    late: list[bytes] = []

    def keep_back() -> None:
        if (said := running.ledger.rpop("segment")) is not None:
            late.append(said)

    with whenever(keep_back, every_s=0.005):
        running.submit(30)
        assert eventually(lambda: len(late) >= 3, within_s=60), "no message was sent"
    running.start("segment")
    fault.breaks("the first messages kept back until the job was over")
    fault.over()
    fault.survived(check(running))
    for said in late:
        running.ledger.lpush("segment", said)
    assert eventually(lambda: not running.ledger.llen("segment"), within_s=30), "a message is left"
    check(running)
