"""Control, assemble and deliver workers are killed exactly at a step of planning, assembling, finishing, delivering."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import Fault
from tests.faults.held_steps import Step
from tests.support.builders.pictures import gradient, saved, three_pages
from tests.support.checks.faults_check import check, told
from tests.support.drivers.stack_behind_proxies import Scene, scene

pytestmark = pytest.mark.long

PLAN = (
    Step("when planning is taken", "ledger", "step plan", after=True, wants=b"$26"),
    Step("before the survey is stored", "store", "PUT .*/survey/"),
    Step("before the plan's items are stored", "store", "PUT .*/plan/"),
    Step("before the plan's frames are stored", "store", "PUT .*/frames/"),
    Step("after the plan's frames are stored", "store", "PUT .*/frames/", after=True),
    Step("before frames can be claimed", "ledger", "extend"),
    Step("after frames can be claimed", "ledger", "extend", after=True),
)
ASSEMBLE = (
    Step("when an item is taken", "ledger", "assemble_take", after=True, wants=b"$26"),
    Step("before a file is stored", "store", "PUT .*/artifacts/.*contact-sheet"),
    Step("after a file is stored", "store", "PUT .*/artifacts/.*contact-sheet", after=True),
    Step("before its record is stored", "store", "PUT .*/assembled/"),
    Step("after its record is stored", "store", "PUT .*/assembled/", after=True),
    Step("when the item is done", "ledger", "assemble_done", after=True),
)
FINISH = (
    Step("when finishing is taken", "ledger", "step finish", after=True, wants=b"$26"),
    Step("while outcomes are read", "store", "GET .*/outcomes/"),
    Step("before the final objects are stored", "store", "PUT .*/final/.*/items.index"),
    Step("before the result is stored", "store", "PUT .*/result.json"),
    Step("after the result is stored", "store", "PUT .*/result.json", after=True),
    Step("before the last event is stored", "store", "PUT .*/events/"),
    Step("after the last event is stored", "store", "PUT .*/events/", after=True),
    Step("before the ledger knows the end", "ledger", "conclude"),
    Step("after the ledger knows the end", "ledger", "conclude", after=True),
)
DELIVER = (
    Step("when a delivery is taken", "ledger", "take_delivery", after=True, wants=b"evt_"),
    Step("after the receiver's 204, before the marker", "store", "PUT .*/delivered/"),
    Step("after the marker is stored", "store", "PUT .*/delivered/", after=True),
    Step("before the delivery is over", "ledger", "end_delivery"),
    Step("before the live marker goes", "store", "DELETE .*/live/[^.]*$"),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), s3=True, step_lease_s=5) as running:
        yield running


def kill_at(shared: Scene, fault: Fault, step: Step, name: str) -> None:
    """Submit a stack of pages with a contact sheet and a plain picture; the process dies at the step."""
    shared.begin()
    files = [shared.folder / "pages.tiff", shared.folder / "picture.png"]
    files[0].write_bytes(three_pages())
    files[1].write_bytes(saved(gradient(), "PNG"))
    with step.held(shared) as hold:
        shared.submit_files(files, [3, 1], outputs=["mask", "contact-sheet"])
        hold.await_caught()
        shared.kill(name)
    fault.breaks(f"SIGKILL to the {name} worker")
    shared.start(name)
    fault.over()


@pytest.mark.parametrize("step", PLAN, ids=lambda step: step.name)
def test_control_is_killed_in_planning(shared: Scene, fault: Fault, step: Step) -> None:
    kill_at(shared, fault, step, "control")
    fault.survived(check(shared))


@pytest.mark.parametrize("step", ASSEMBLE, ids=lambda step: step.name)
def test_assemble_is_killed(shared: Scene, fault: Fault, step: Step) -> None:
    kill_at(shared, fault, step, "assemble")
    fault.survived(check(shared))


@pytest.mark.parametrize("step", FINISH, ids=lambda step: step.name)
def test_control_is_killed_in_finishing(shared: Scene, fault: Fault, step: Step) -> None:
    kill_at(shared, fault, step, "control")
    fault.survived(check(shared))


@pytest.mark.parametrize("step", DELIVER, ids=lambda step: step.name)
def test_deliver_is_killed(shared: Scene, fault: Fault, step: Step) -> None:
    kill_at(shared, fault, step, "deliver")
    fault.survived(check(shared))
    most = 2 if step.name.startswith("after the receiver's 204") else 1
    assert set(told(shared).values()) <= {1, most}
