"""Workers die, hang, are paused or told to stop: every frame still ends with one visible outcome."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.conftest import Fault
from tests.support.builders.pictures import gradient, saved
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import TENANTS, Scene, scene
from tests.support.servers.simulators import eventually

HOSTILE = Path(__file__).parent / "hostile"
WORKERS = ("segment", "assemble", "control", "deliver")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One scene for the tests that need no settings of their own. Files with a marker end or hang their decoder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(HOSTILE))
        with scene(tmp_path_factory.mktemp("scene"), decode_timeout_s=3) as running:
            yield running


def test_every_worker_is_killed_in_the_middle_of_a_job(running: Scene, fault: Fault):
    running.simulator.set(service_time=0.1)
    job = running.submit(60)
    running.under_way(job, 2)
    for name in WORKERS:
        running.kill(name)
    for name in WORKERS:
        running.start(name)
    fault.breaks("SIGKILL to all workers")
    fault.over()
    fault.survived(check(running))


@pytest.mark.parametrize(
    ("marker", "code"), [("KILLS ITS DECODER", "decoder_crashed"), ("HANGS ITS DECODER", "decode_timeout")]
)
def test_one_file_that_ends_its_decoder_fails_alone(running: Scene, fault: Fault, marker, code):
    running.submit(60, hostile=marker)
    fault.breaks("one picture of 60")
    fault.over()
    fault.survived(check(running, failed={"30": code}))


def test_a_paused_worker_that_wakes_after_its_lease_lapsed_changes_nothing(running: Scene, fault: Fault):
    running.simulator.set(service_time=0.1)
    job = running.submit(60)
    running.under_way(job, 2)
    assert eventually(lambda: running.ledger.zcard("mr:leases") > 0, within_s=20)
    running.send("segment", signal.SIGSTOP)
    held = set(running.ledger.zrange("mr:leases", 0, -1))
    assert eventually(lambda: not held & set(running.ledger.zrange("mr:leases", 0, -1)), within_s=60)
    running.send("segment", signal.SIGCONT)
    fault.breaks("SIGSTOP to the segment worker until its leases had lapsed")
    fault.over()
    fault.survived(check(running))


@pytest.mark.parametrize("marker", [b"KILLS ITS DECODER", b"HANGS ITS DECODER"])
def test_one_file_that_ends_whoever_plans_it_is_given_up_alone(running: Scene, marker):
    pages = [gradient(), gradient(50, 20)]
    stack_of_pages = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    files = [saved(gradient(), "PNG"), stack_of_pages + marker, stack_of_pages]
    with running.client() as client:
        job = client.wait(client.submit(files, ["liver in abdomen CT"]).id, timeout=timedelta(seconds=120))
        items = list(client.items(job.id))
    assert (job.state, job.counts.succeeded, job.counts.failed) == ("partial", 2, 1)
    assert items[1].error is not None
    assert items[1].error.code == "decoder_crashed"


@pytest.mark.long
def test_a_worker_is_told_to_stop_with_frames_in_hand(tmp_path, fault: Fault):
    """SIGTERM: it finishes or gives back what it holds, so nothing has to lapse and nothing is scored again."""
    with scene(tmp_path, bearing=8, endpoint_max_in_flight=8, claim_lease_s=60) as running:
        running.simulator.set(service_time=3.5)
        jobs = [running.submit(16), running.submit(30, tenant=TENANTS[1])]
        running.under_way(jobs[0], 2)
        running.await_scores(4)
        running.stop("segment")
        running.simulator.set(service_time=0)
        running.start("segment")
        fault.breaks("SIGTERM to the segment worker")
        fault.over()
        scored_again = check(running)
        assert scored_again == 0, "frames were scored again"
        assert "leases lapsed" not in running.stack.log("control")
        fault.survived(scored_again)
