"""An autoscaler asks `GET /v1/scaling` under load and keeps as many segment workers as it says: from none to none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import Fault
from tests.support.checks.faults_check import check
from tests.support.drivers.stack_behind_proxies import (
    TENANTS,
    Scene,
    scene,
    whenever,
)
from tests.support.servers.replicas import SEGMENTS, keep_segments
from tests.support.servers.simulators import eventually

HANDS = 4
#: So many scores at once feed four workers of four hands: half of what they hold is prepared meanwhile.
IN_FLIGHT = 8


@dataclass(frozen=True)
class Sample:
    """What was answered."""

    waiting: int
    wanted: int
    cap: int


@dataclass
class Autoscaler:
    """Asks as KEDA does. `wrong`: what of an answer did not follow from what the ledger held before and after it."""

    at: Scene
    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    most_alive: int = 0
    #: Looks in a row with another cap than that of the limit: during one of them the limit may change and change back.
    other_caps: int = 0

    def ask(self) -> Sample:
        with httpx.Client(base_url=self.at.url, timeout=30, trust_env=False) as http:
            told = http.get("/v1/scaling").raise_for_status().json()
        return Sample(told["waiting_frames"], told["workers_wanted"], told["cap"])

    def look(self) -> None:
        """Ask once, and compare with what is true however long the answer took."""
        unsettled, limit, held = self._unsettled(), self._limit(), self._held()
        sample = self.ask()
        still = {token: count for token, count in self._held().items() if token in held}
        self.samples.append(sample)
        sure = sample.waiting + sum(still.values())
        if sample.wanted > sample.cap:
            self.wrong.append(f"more than the endpoint can feed: {sample}")
        if sample.wanted < min(rounded_up(sure, HANDS), sample.cap):
            self.wrong.append(f"too few for {sure} frames: {sample}")
        if sample.waiting > unsettled or (sample.wanted and not unsettled):
            self.wrong.append(f"workers for nothing, {unsettled} frames without an outcome: {sample}")
        other_cap = limit == self._limit() and sample.cap != max(1, rounded_up(2 * limit, HANDS))
        self.other_caps = self.other_caps + 1 if other_cap else 0
        if self.other_caps == 3:
            self.wrong.append(f"another cap than that of {limit} in flight: {sample}")

    def follow(self) -> Sample:
        """Ask once, and keep so many."""
        sample = self.ask()
        keep_segments(self.at, min(sample.wanted, len(SEGMENTS)))
        self.most_alive = max(self.most_alive, len(self.at.stack.processes.keys() & set(SEGMENTS)))
        return sample

    def is_over(self) -> bool:
        """Ask once and keep so many; whether no worker is wanted, none is left, and every frame has its outcome."""
        wanted, alive = self.follow().wanted, self.at.stack.processes.keys() & set(SEGMENTS)
        return not wanted and not alive and not self._unsettled()

    def _held(self) -> dict[bytes, int]:
        """How many frames are in whose hands."""
        claims = self.at.ledger.hgetall("mr:claims")
        return {token: json.loads(claim)["held"].count("1") for token, claim in claims.items()}

    def _limit(self) -> int:
        """Scores that may be in flight; none while no worker has told of its endpoint."""
        with self.at.client() as client:
            return sum(one.limit for one in client.endpoints())

    def _unsettled(self) -> int:
        """Frames of all jobs that have no outcome; nothing is submitted meanwhile."""
        return sum(len(job.frames) - self.at.settled(job) for job in self.at.sent)


def rounded_up(count: int, by: int) -> int:
    return -(-count // by)


@contextmanager
def scaled_from_none(folder: Path, fault: Fault) -> Iterator[Autoscaler]:
    """A scene without a segment worker, and who asks for some; at the end every answer was right, and the check."""
    about = {"bearing": IN_FLIGHT, "endpoint_max_in_flight": IN_FLIGHT, "hands": HANDS, "claim_lease_s": 60}
    with scene(folder, **about) as running:
        running.stop("segment")
        scaler = Autoscaler(running)
        assert scaler.ask() == Sample(0, 0, 1)
        yield scaler
        assert scaler.wrong == []
        running.start("segment")
        fault.over()
        fault.survived(check(running))


def test_an_autoscaler_that_follows_the_number_keeps_a_worker_while_frames_are_in_hand(tmp_path, fault: Fault):
    with scaled_from_none(tmp_path, fault) as scaler:
        scaler.at.simulator.set(service_time=1.5)
        scaler.at.submit(3)
        with whenever(scaler.look, every_s=0.1):
            assert eventually(scaler.is_over, within_s=60)
        fault.breaks("a segment worker started and told to end as /v1/scaling says: none, one, none")
        assert any(sample.wanted and not sample.waiting for sample in scaler.samples)


@pytest.mark.long
def test_an_autoscaler_that_follows_the_number_goes_from_none_to_four_and_back_to_none(tmp_path, fault: Fault):
    """Meanwhile the endpoint bears less for a while: then fewer are wanted, however much waits."""
    with scaled_from_none(tmp_path, fault) as scaler:
        simulator = scaler.at.simulator
        simulator.set(service_time=1)
        scaler.at.submit(16)
        scaler.at.submit(100, tenant=TENANTS[1])
        with whenever(scaler.look, every_s=0.1):
            assert eventually(lambda: scaler.follow().wanted == scaler.most_alive == 4, within_s=60)
            simulator.set(max_concurrent=1)
            assert eventually(lambda: scaler.follow().cap < 4, within_s=60)
            simulator.set(max_concurrent=IN_FLIGHT, service_time=0)
            assert eventually(scaler.is_over, within_s=120)
        fault.breaks("segment workers started and told to end as /v1/scaling says: none, four, none")
