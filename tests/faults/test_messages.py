"""A Celery message may be lost, doubled or late: the ledger is the truth."""

from tests.faults_check import check, ledger, submit, under_way, whenever
from tests.receivers import receiver, status
from tests.simulators import eventually
from tests.stacks import running_stack

QUEUES = ("plan", "segment", "finish", "deliver")


def test_every_message_sent_while_nobody_listens_is_dropped(tmp_path):
    """The wake-ups of a submission, of its plan and of its event never arrive; the sweep's later ones do."""
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack, ledger(stack) as client:
        for name in ("control", "segment", "deliver"):
            stack.kill(name)
        dropped = dict.fromkeys(("plan", "segment", "deliver"), 0)

        def drop_all_but_the_started() -> None:
            for queue in [*dropped] if dropped["plan"] == 0 else ["segment", "deliver"]:
                dropped[queue] += client.delete(queue)

        with whenever(drop_all_but_the_started, every_s=0.005):
            job = submit(stack, tmp_path / "in", 30, told)
            assert eventually(lambda: dropped["plan"] == 1, within_s=10)
            stack.start("control")
            assert eventually(lambda: dropped["segment"] >= 2, within_s=30)
        stack.start("segment")
        with whenever(lambda: dropped.update(deliver=dropped["deliver"] + client.delete("deliver")), every_s=0.005):
            assert eventually(lambda: dropped["deliver"] >= 2, within_s=60)
        stack.start("deliver")
        check(stack, job, 30, told)


def test_every_message_is_doubled(tmp_path):
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack, ledger(stack) as client:
        doubled = client.register_script(
            "for _, queue in ipairs(KEYS) do local said = redis.call('LINDEX', queue, 0) "
            "if said and redis.call('LLEN', queue) < 20 then redis.call('LPUSH', queue, said) end end"
        )
        with whenever(lambda: doubled(keys=QUEUES), every_s=0.01):
            job = submit(stack, tmp_path / "in", 30, told)
            under_way(stack, job.id, 30)
        check(stack, job, 30, told)
