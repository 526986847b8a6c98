"""The API is killed exactly at a step of a submission: the job exists fully or not at all, and once."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.faults.conftest import Fault
from tests.faults.held_steps import Step
from tests.support.checks.faults_check import check
from tests.support.checks.leftovers import leaks
from tests.support.drivers.stack_behind_proxies import (
    PROMPT,
    Scene,
    Sent,
    key_of,
    pictures,
    scene,
)
from tests.support.servers.simulators import eventually

pytestmark = pytest.mark.long

#: In the order in which a submission goes; acceptance is the store's answer to `job.json`.
BEFORE = (
    Step("while an upload is stored", "store", "PUT .*/uploads/[^.]*$"),
    Step("after an upload is stored", "store", "PUT .*/uploads/[^.]*$", after=True),
    Step("before an upload is marked as used", "store", "PUT .*[.]used/"),
    Step("before the live marker", "store", "PUT .*/live/"),
    Step("after the live marker", "store", "PUT .*/live/", after=True),
    Step("before the job is stored", "store", "PUT .*/job.json"),
)
AFTER = (
    Step("after the job is stored", "store", "PUT .*/job.json", after=True),
    Step("before the ledger is told", "ledger", "create"),
    Step("after the ledger was told", "ledger", "create", after=True),
)
COUNT = 6
#: The further steps of a job of one image whose caller waits.
AT_ONCE = (
    Step("before the plan is stored", "store", "PUT .*/plan/"),
    Step("while the plan is stored", "store", "PUT .*/frames/"),
    Step("after the plan is stored", "store", "PUT .*/frames/", after=True),
    Step("before the ledger is told of job and plan", "ledger", "create"),
    Step("after the ledger was told of job and plan", "ledger", "create", after=True),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), s3=True) as running:
        yield running


def post(shared: Scene, key: str, count: int = COUNT) -> httpx.Response:
    """One submission without any retry of the client's. Whoever submits one image waits."""
    files = [("image", (path.name, path.read_bytes())) for path in pictures(shared.folder / "in", count)]
    options = f'{{"outputs": ["mask"], "callback": {{"url": "{shared.told.url()}"}}}}'
    return httpx.post(
        f"{shared.stack.url}/v1/jobs",
        files=files,
        data={"prompt": PROMPT, "options": options},
        headers={"authorization": f"Bearer {key_of('north')}", "idempotency-key": f'"{key}"'}
        | ({"prefer": "wait=30"} if count == 1 else {}),
        timeout=60,
    )


def killed_at(shared: Scene, step: Step, key: str, count: int = COUNT) -> None:
    """Submit once; the API dies at this step, and the caller hears nothing."""

    def submit() -> None:
        with suppress(httpx.TransportError):
            heard.append(post(shared, key, count))

    heard: list[httpx.Response] = []
    with step.held(shared) as hold:
        asking = threading.Thread(target=submit)
        asking.start()
        hold.await_caught()
        shared.kill("api")
    asking.join()
    assert not heard
    shared.start("api")


def asked_again(shared: Scene, key: str) -> httpx.Response:
    """The same request until it is taken: the dead API may still hold the key for some seconds."""
    answers: list[httpx.Response] = []

    def taken() -> bool:
        answers.append(post(shared, key))
        assert answers[-1].status_code in {200, 202, 409}
        return answers[-1].status_code != 409

    assert eventually(taken, within_s=60)
    return answers[-1]


@pytest.mark.parametrize("step", [*BEFORE[2:], *AFTER], ids=lambda step: step.name)
def test_the_api_is_killed_and_the_caller_asks_again(shared: Scene, fault: Fault, step: Step) -> None:
    shared.begin()
    killed_at(shared, step, step.name)
    fault.breaks("SIGKILL to the API")
    fault.over()
    answer = asked_again(shared, step.name)
    shared.sent.append(Sent(answer.json()["id"], "north", (1,) * COUNT))
    fault.survived(check(shared))


@pytest.mark.parametrize("step", AFTER, ids=lambda step: step.name)
def test_the_api_is_killed_once_the_job_is_stored_and_nobody_asks_again(
    shared: Scene, fault: Fault, step: Step
) -> None:
    shared.begin()
    killed_at(shared, step, f"once {step.name}")
    fault.breaks("SIGKILL to the API")
    fault.over()
    (job,) = shared.accepted()
    shared.sent.append(Sent(job, "north", (1,) * COUNT))
    fault.survived(check(shared))


@pytest.mark.parametrize("step", AT_ONCE, ids=lambda step: step.name)
def test_the_api_is_killed_while_it_stores_the_plan(shared: Scene, fault: Fault, step: Step) -> None:
    shared.begin()
    killed_at(shared, step, f"at once {step.name}", 1)
    fault.breaks("SIGKILL to the API")
    fault.over()
    (job,) = shared.accepted()
    shared.sent.append(Sent(job, "north", (1,)))
    fault.survived(check(shared))


@pytest.mark.parametrize("step", BEFORE, ids=lambda step: step.name)
def test_the_api_is_killed_before_the_job_is_stored_and_nobody_asks_again(
    shared: Scene, fault: Fault, step: Step
) -> None:
    """What it left has no job: nobody is told of one, and it is cleared away once it is old."""
    shared.begin()
    killed_at(shared, step, f"never {step.name}")
    fault.breaks("SIGKILL to the API")
    fault.over()
    assert not shared.accepted(), "a job was accepted"
    assert not shared.listed(), "a job is shown that was not accepted"
    assert not list(leaks(shared)), "the ledger knows of a job that was not accepted"
    fault.survived(0)
