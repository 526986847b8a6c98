"""Flow control: how many scores may be under way at an endpoint, how fast they begin, and whether its gate is open."""

from dataclasses import dataclass
from datetime import timedelta

from maskrelay.contract.jobs import Lane
from maskrelay.ledger.scripts import Scripts
from maskrelay.rules.gate import LONGEST, Report

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether one score may begin. probe: only with the canary. Otherwise come back after `wait`; `why` is one word."""

    granted: bool
    probe: bool
    wait: timedelta
    why: str


@dataclass(frozen=True, slots=True)
class FlowState:
    """The flow as it is. last_good_ms: Redis' clock when the endpoint last answered well, or 0."""

    gate: str
    reason: str
    closed_for: timedelta
    in_flight: int
    last_good_ms: int


class Flow:
    """The flow control of one endpoint over all workers."""

    def __init__(
        self,
        scripts: Scripts,
        endpoint: str,
        *,
        max_in_flight: int,
        max_requests_per_s: float,
        slot_lease: timedelta,
    ) -> None:
        self._scripts = scripts
        self.endpoint = endpoint
        self._limit = max_in_flight
        self._interval_us = round(1e6 / max_requests_per_s)
        self._slot_lease_ms = slot_lease // _MS

    def fresh(self) -> bool:
        """Begin without the wait for slots that may be lost: only for who knows that no score was ever sent."""
        return bool(self._scripts.run("fresh", self.endpoint))

    def is_new(self) -> bool:
        return not self._scripts.ask("HEXISTS", f"mr:flow:{self.endpoint}", "run_id")

    def admit(self, lane: Lane, waiter: str, slot: str) -> Admission:
        """Ask for one score. A waiter keeps its place in the lane while it asks at least every three seconds."""
        limits = (self._limit, self._interval_us, self._slot_lease_ms)
        verdict, wait_ms, why = self._scripts.run("admit", self.endpoint, lane, waiter, slot, *limits)
        return Admission(verdict > 0, verdict == 2, wait_ms * _MS, why.decode())

    def report(self, slot: str, report: Report, frame: str, rand: float) -> str:
        """Tell how the score of a slot ended; the gate's state now. `frame` names the input, `rand` jitters a pause."""
        waits = (report.retry_after // _MS, report.base // _MS, LONGEST // _MS, 0.5 + rand / 2)
        told = (self.endpoint, slot, report.kind, report.keep_slot, frame, *waits, report.reason)
        gate: bytes = self._scripts.run("report", *told)
        return gate.decode()

    def look(self) -> FlowState:
        known = self._scripts.run("look", self.endpoint)
        gate, reason, closed_ms, in_flight, good = known
        return FlowState(gate.decode(), reason.decode(), closed_ms * _MS, in_flight, good)
