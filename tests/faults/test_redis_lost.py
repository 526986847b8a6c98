"""Redis is emptied or rolled back in the middle of a job: storage is the verdict."""

import shutil
import time

from tests.faults_check import check, ledger, submit, under_way
from tests.receivers import receiver, status
from tests.simulators import eventually
from tests.stacks import running_stack


def test_flushall_in_the_middle(tmp_path):
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack:
        job = submit(stack, tmp_path / "in", 60, told)
        under_way(stack, job.id, 10)
        with ledger(stack) as client:
            client.flushall()
        check(stack, job, 60, told)


def test_redis_restored_from_an_older_copy(tmp_path):
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack:
        job = submit(stack, tmp_path / "in", 60, told)
        under_way(stack, job.id, 5)
        folder, copy = stack.data / "valkey", tmp_path / "copy"
        with ledger(stack) as client:
            client.config_set("appendfsync", "always")
            before = time.monotonic()
            client.set("marker", 1)
        shutil.copytree(folder, copy)
        assert eventually(lambda: time.monotonic() - before > 5, within_s=20)
        stack.kill("valkey")
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        stack.start("valkey")
        check(stack, job, 60, told)
