"""A segment worker is killed exactly at a step of its frames: it is held at the border it crosses, then SIGKILLed."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.faults.held_steps import Step
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import Scene, scene

pytestmark = pytest.mark.long


STEPS = (
    Step("after the claim", "ledger", "claim", after=True, wants=b'"token"'),
    Step("while its plan is read", "store", "GET .*/frames/"),
    Step("while its source is read", "store", "GET .*/uploads/"),
    Step("after prepare, before it is admitted", "ledger", "admit"),
    Step("when it is admitted", "ledger", "admit", after=True, wants=b":1\r\n"),
    Step("after its score, before that is reported", "ledger", "report_score"),
    Step("before its artifact is stored", "store", "PUT .*/artifacts/"),
    Step("after its artifact is stored", "store", "PUT .*/artifacts/", after=True),
    Step("before its pack is stored", "store", "PUT .*/packs/", lane="bulk"),
    Step("after its pack is stored", "store", "PUT .*/packs/", after=True, lane="bulk"),
    Step("before its part is stored", "store", "PUT .*/outcomes/"),
    Step("after its part is stored, before it settles", "store", "PUT .*/outcomes/", after=True),
    Step("when it settles", "ledger", "settle"),
    Step("after it settled, before it knows", "ledger", "settle", after=True),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), s3=True) as running:
        yield running


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_worker_is_killed(shared: Scene, fault: Fault, step: Step) -> None:
    shared.begin()
    with step.held(shared) as hold:
        shared.submit(10, lane=step.lane)
        hold.await_caught()
        shared.kill("segment")
    fault.breaks("SIGKILL to a segment worker")
    shared.start("segment")
    fault.over()
    fault.survived(check(shared))


def test_a_worker_is_killed_while_the_model_works_for_it(shared: Scene, fault: Fault) -> None:
    shared.begin()
    shared.simulator.set(service_time=2)
    shared.submit(10)
    shared.await_scores(2)
    shared.kill("segment")
    fault.breaks("SIGKILL to a segment worker with two scores in flight")
    shared.simulator.set(service_time=0)
    shared.start("segment")
    fault.over()
    fault.survived(check(shared))
