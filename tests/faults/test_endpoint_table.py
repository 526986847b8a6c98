"""Every way in which the endpoint may fail, for a while or on one frame: an outage is not a failure of a frame."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import (
    PROMPT,
    TENANTS,
    Scene,
    after,
    scene,
)

pytestmark = pytest.mark.long

#: What befalls the next requests, whichever frames they are of. Nothing of it may be held against a frame.
PASSING: dict[str, dict[str, Any]] = {
    "400": {"status": 400, "times": 2},
    "401": {"status": 401, "times": 3},
    "403": {"status": 403, "times": 3},
    "404": {"status": 404, "times": 3},
    "405": {"status": 405, "times": 4},
    "408": {"status": 408, "times": 4},
    "413": {"status": 413, "times": 2},
    "424 around 500": {"status": 424, "times": 2},
    "424 around 503": {"status": 424, "inner_status": 503, "times": 4},
    "429 too many pending": {"status": 429, "kind": "pending", "times": 6},
    "429 rate limited": {"status": 429, "kind": "rate", "times": 6},
    "429 with Retry-After": {"status": 429, "kind": "rate", "retry_after": 4, "times": 2},
    "431": {"status": 431, "times": 4},
    "500": {"status": 500, "times": 4},
    "502": {"status": 502, "times": 4},
    "503": {"status": 503, "times": 4},
    "503 with Retry-After": {"status": 503, "retry_after": 4, "times": 2},
    "504": {"status": 504, "times": 4},
    "reset": {"status": "reset", "times": 4},
    "truncated": {"status": "truncated", "times": 4},
    "a web page": {"status": "html", "times": 4},
    "a slow body": {"status": "slow", "seconds": 9, "times": 2},
    "a row too few": {"status": "short_count", "times": 2},
    "a wrong dtype": {"status": "bad_dtype", "times": 2},
}
#: What befalls one frame alone, again and again, and the code it ends with while all others succeed.
LASTING: dict[str, tuple[dict[str, Any], str]] = {
    "400": ({"status": 400}, "scoring_failed"),
    "413": ({"status": 413}, "request_too_large"),
    "424 around 500": ({"status": 424}, "scoring_failed"),
    "a row too few": ({"status": "short_count"}, "answer_invalid"),
    "a wrong dtype": ({"status": "bad_dtype"}, "answer_invalid"),
}
MARK = "odd mass in abdomen CT"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), endpoint_max_in_flight=4) as running:
        yield running


@pytest.mark.parametrize("what", PASSING)
def test_the_endpoint_answers_for_a_while(shared: Scene, fault: Fault, what: str) -> None:
    shared.begin()
    shared.simulator.set(fail=PASSING[what])
    shared.submit(10)
    fault.breaks(f"{PASSING[what]['times']} requests")
    fault.over()
    fault.survived(check(shared))


@pytest.mark.parametrize("what", LASTING)
def test_the_endpoint_answers_one_frame_always(shared: Scene, fault: Fault, what: str) -> None:
    shared.begin()
    broken, code = LASTING[what]
    shared.simulator.set(fail={**broken, "when_prompt": MARK})
    shared.submit_prompts([*[PROMPT] * 3, MARK, *[PROMPT] * 4])
    fault.breaks("each request of one frame")
    fault.over()
    fault.survived(check(shared, failed={"3": code}))


def test_the_endpoint_fails_on_everything_for_longer_than_a_frame_may(shared: Scene, fault: Fault) -> None:
    """A bad roll-out: every input fails alike, more often than three attempts, and no frame is blamed."""
    shared.begin()
    shared.simulator.set(fail={"status": 424})
    jobs = [shared.submit(10), shared.submit(24, tenant=TENANTS[1])]
    assert after(20)
    assert sum(map(shared.settled, jobs)) == 0
    shared.simulator.set(fail=None)
    fault.breaks("every request answered 424 for 20 s")
    fault.over()
    fault.survived(check(shared))


def test_the_container_restarts_with_scores_in_hand(shared: Scene, fault: Fault) -> None:
    shared.begin()
    shared.simulator.set(service_time=1)
    shared.submit(10)
    shared.await_scores(2)
    shared.simulator.set(restart=True, service_time=0)
    fault.breaks("connections reset, work lost")
    fault.over()
    fault.survived(check(shared))


def test_the_way_to_the_endpoint_goes_dead_with_scores_in_hand(shared: Scene, fault: Fault) -> None:
    shared.begin()
    shared.simulator.set(service_time=1)
    shared.submit(10)
    shared.await_scores(2)
    shared.endpoint.lose()
    shared.simulator.set(service_time=0)
    fault.breaks("connections to the endpoint pass nothing any more, nobody is told")
    fault.over()
    fault.survived(check(shared))


def worked_before(shared: Scene) -> None:
    """No canary is sent first: frames meet what comes."""
    shared.begin()
    shared.under_way(shared.submit(2), 2)


def for_a_while(shared: Scene, fault: Fault, seconds: float, broken: str) -> None:
    """A job meets a way to the endpoint that is broken for so long."""
    shared.submit(10)
    assert after(seconds)
    shared.endpoint.mend()
    fault.breaks(f"{broken} for {seconds:g} s")
    fault.over()
    fault.survived(check(shared))


def test_the_way_to_the_endpoint_is_narrow(shared: Scene, fault: Fault) -> None:
    """An answer takes longer on its way than a score may."""
    worked_before(shared)
    shared.endpoint.bytes_per_s = 100_000
    for_a_while(shared, fault, 15, "100 kB/s of each connection")


def test_the_endpoint_cannot_be_reached_for_a_while(shared: Scene, fault: Fault) -> None:
    worked_before(shared)
    shared.endpoint.cut()
    for_a_while(shared, fault, 10, "connections refused")
