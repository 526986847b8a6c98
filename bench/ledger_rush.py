"""Run the workers' ledger commands at full speed: claim, admit, report and settle, one after another without a wait."""

import itertools
import random
import secrets
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from maskrelay.contract.records.job import Lane
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import Claim, Settlement
from maskrelay.ledger.flow_control import Flow, Transfer
from maskrelay.rules.endpoint_gate import GOOD

_LANES: list[Lane] = ["interactive", "bulk"]
_IN_FLIGHT = 6
#: The transfer of an image with one prompt, in bytes up and down.
MOVED = Transfer(800_000, 1_400_000, 1, 0.1, 0.01)


@dataclass(slots=True)
class Hurried:
    """One worker, with its scores in progress and its unsettled frames by job."""

    name: str = field(default_factory=lambda: secrets.token_hex(8))
    scores: deque[tuple[Claim, str]] = field(default_factory=deque)
    ended: list[Claim] = field(default_factory=list)
    parts: int = 0
    full: int = field(default_factory=lambda: random.randint(32, 64))  # random, so that not all settle at the same time

    def step(self, ledger: Ledger, flow: Flow, endpoint: str) -> None:
        """Begin a frame. If too many frames are in progress, end the oldest one first. Settle every full part."""
        claim = ledger.claims.take(len(self.scores) + len(self.ended), _LANES, 8)
        if not isinstance(claim, Claim):
            raise SystemExit("no frame waits")
        slot, size = secrets.token_hex(8), {"bytes_up": MOVED.bytes_up, "prompts": 1}
        admission = flow.admit(claim.lane, slot, slot, among=[endpoint], child=self.name, **size)
        if not admission.granted:
            raise SystemExit(f"not admitted: {admission.why}")
        self.scores.append((claim, slot))
        if len(self.scores) > _IN_FLIGHT:
            self._end(flow, endpoint)
        if len(self.ended) >= self.full:
            self._settle(ledger)

    def _end(self, flow: Flow, endpoint: str) -> None:
        claim, slot = self.scores.popleft()
        flow.report(endpoint, slot, GOOD, f"{claim.job}:{claim.first}", random.random(), MOVED)
        self.ended.append(claim)

    def _settle(self, ledger: Ledger) -> None:
        """Settle one part for each job."""
        lines: defaultdict[str, list[Settlement]] = defaultdict(list)
        for claim in self.ended:
            lines[claim.job].append(Settlement(claim.token, claim.first, failed=False))
        self.ended.clear()
        for job, settled in lines.items():
            self.parts += 1
            part = f"{time.time_ns() // 1_000_000:016d}-{self.name[:8]}-{self.parts % 1_000_000:06d}"
            if len(ledger.claims.settle(job, part, settled, {"endpoint": 100 * len(settled)})) < len(settled):
                raise SystemExit("a frame was settled twice")


def rush(ledger: Ledger, flow: Flow, endpoint: str, workers: int) -> None:
    """Run this many workers, one after another, until the process is ended."""
    for worker in itertools.cycle([Hurried() for _ in range(workers)]):
        worker.step(ledger, flow, endpoint)
