"""Workers die, hang or are paused: every frame still ends with one visible outcome."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults_check import check, ledger, submit, under_way
from tests.pictures import gradient, saved
from tests.receivers import receiver, status
from tests.simulators import eventually
from tests.stacks import running_stack

HOSTILE = Path(__file__).parent / "hostile"


def test_every_worker_is_killed_in_the_middle_of_a_job(tmp_path):
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack:
        job = submit(stack, tmp_path / "in", 60, told)
        under_way(stack, job.id, 10)
        for name in ("segment", "assemble", "control", "deliver"):
            stack.kill(name)
        for name in ("segment", "assemble", "control", "deliver"):
            stack.start(name)
        check(stack, job, 60, told)


@pytest.mark.parametrize(
    ("marker", "code"), [("KILLS ITS DECODER", "decoder_crashed"), ("HANGS ITS DECODER", "decode_timeout")]
)
def test_one_file_that_ends_its_decoder_fails_alone(tmp_path, monkeypatch, marker, code):
    monkeypatch.setenv("PYTHONPATH", str(HOSTILE))
    with receiver(status(204)) as told, running_stack(tmp_path / "data", decode_timeout_s=2) as stack:
        job = submit(stack, tmp_path / "in", 60, told, hostile=marker)
        check(stack, job, 60, told, failed={"30": code})


def test_a_paused_worker_that_wakes_after_its_lease_lapsed_changes_nothing(tmp_path):
    with receiver(status(204)) as told, running_stack(tmp_path / "data") as stack:
        job = submit(stack, tmp_path / "in", 60, told)
        under_way(stack, job.id, 5)
        group = stack.processes["segment"]
        with ledger(stack) as client:
            assert eventually(lambda: client.zcard("mr:leases") > 0, within_s=20)
            os.killpg(group, signal.SIGSTOP)
            held = set(client.zrange("mr:leases", 0, -1))
            assert eventually(lambda: not held & set(client.zrange("mr:leases", 0, -1)), within_s=60)
        os.killpg(group, signal.SIGCONT)
        check(stack, job, 60, told)


@pytest.mark.parametrize("marker", [b"KILLS ITS DECODER", b"HANGS ITS DECODER"])
def test_one_file_that_ends_whoever_plans_it_is_given_up_alone(tmp_path, monkeypatch, marker):
    monkeypatch.setenv("PYTHONPATH", str(HOSTILE))
    pages = [gradient(), gradient(50, 20)]
    stack_of_pages = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    files = [saved(gradient(), "PNG"), stack_of_pages + marker, stack_of_pages]
    with running_stack(tmp_path / "data", decode_timeout_s=2) as stack, stack.client() as client:
        job = client.wait(client.submit(files, ["liver in abdomen CT"]).id, timeout=timedelta(seconds=120))
        items = list(client.items(job.id))
    assert (job.state, job.counts.succeeded, job.counts.failed) == ("partial", 2, 1)
    assert items[1].error is not None
    assert items[1].error.code == "decoder_crashed"
