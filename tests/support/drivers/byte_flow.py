"""A saturated endpoint with a limit on bytes, in virtual time: the scripts of the flow control, with a set clock.

Children ask for admission when they are told to, or when a score ended, a little late. A request and its answer pass a
gateway piece by piece, as they do in the simulator.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from maskrelay.ledger.flow_control import Flow, Transfer
from maskrelay.ledger.scripts import Scripts, texts
from maskrelay.rules.endpoint_gate import GOOD
from tests.support.drivers.flows import an_endpoint
from tests.support.servers.valkeys import RunningValkey

_CLOCK = "virtual-clock"
_PIECE, _SAVED_S, _SPAN_S = 16_384, 0.05, 10.0
_CHILDREN, _ASK_AGAIN_S = 3, 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: the mean sizes of requests and answers in bytes, and the mean service time in seconds."""

    bytes_up: int
    bytes_down: int
    service: float
    lean: bool = True
    prompts: int = 1
    #: How much sizes vary, as a share.
    spread: float = 0.3
    #: The shortest and the longest time by which a child is late.
    late: tuple[float, float] = (0.001, 0.02)


@dataclass(slots=True)
class Passed:
    """The pieces that came to the gateway, each with its second."""

    limit: float
    pieces: list[tuple[float, int]] = field(default_factory=list)

    def use(self, since: float, until: float) -> float:
        """Return the bytes between two moments, as a share of the limit."""
        return sum(size for at, size in self.pieces if since <= at < until) / (until - since) / self.limit

    def most(self) -> float:
        """Return the largest number of bytes in any ten seconds, as a share of the limit."""
        recent: deque[tuple[float, int]] = deque()
        total = most = 0
        for at, size in sorted(self.pieces):
            recent.append((at, size))
            total += size
            while recent[0][0] <= at - _SPAN_S:
                total -= recent.popleft()[1]
            most = max(most, total)
        return most / _SPAN_S / self.limit


@dataclass(slots=True)
class _Waiter:
    child: str
    slot: str
    bytes_up: int
    #: How often it asked, or was about to.
    asks: int = 0


class ByteFlow:
    """A simulation of some seconds. The seed determines sizes, service times and delays."""

    def __init__(self, valkey: RunningValkey, load: Load, *, limit: float, seed: int, delays: bool = True) -> None:
        """`delays` says whether the gateway delays what exceeds its limit, or passes it at once."""
        clock = f"redis.call('MGET', '{_CLOCK}:seconds', '{_CLOCK}:micros')"
        virtual = {name: text.replace("redis.call('TIME')", clock) for name, text in texts().items()}
        endpoint = an_endpoint("e", max_in_flight=96, max_bytes_per_s=limit)
        self._client = valkey.client
        self._flow = Flow(Scripts(valkey.client, virtual), [endpoint], slot_lease=timedelta(minutes=2))
        self._load, self._limit, self._delays, self._random = load, limit, delays, Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._names = itertools.count()
        self._now = self._paid_at = 0.0
        self._passed = Passed(limit)
        self._waiting: dict[str, _Waiter] = {}

    def play(self, seconds: float) -> Passed:
        self._set_clock()
        self._flow.fresh("e")
        for child in range(_CHILDREN):
            self._begin(f"child-{child}")
        while self._events[0][0] <= seconds:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        return self._passed

    def _set_clock(self) -> None:
        seconds, micros = divmod(round((1_000_000_000 + self._now) * 1e6), 1_000_000)
        self._client.mset({f"{_CLOCK}:seconds": seconds, f"{_CLOCK}:micros": micros})

    def _after(self, delay: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay, next(self._order), happen))

    def _varied(self, mean: int) -> int:
        return round(mean * self._random.uniform(1 - self._load.spread, 1 + self._load.spread))

    def _late(self) -> float:
        return self._random.uniform(*self._load.late)

    def _begin(self, child: str) -> None:
        self._ask(_Waiter(child, f"slot-{next(self._names)}", self._varied(self._load.bytes_up)))

    def _ask(self, waiter: _Waiter) -> None:
        slot, size = waiter.slot, {"bytes_up": waiter.bytes_up, "prompts": self._load.prompts}
        lean = {"e": waiter.bytes_up} if self._load.lean else {}
        self._set_clock()
        admission = self._flow.admit("bulk", slot, slot, among=["e"], child=waiter.child, lean=lean, **size)
        if not admission.granted:
            self._waiting[slot] = waiter
            self._ask_later(waiter, min(admission.wait.total_seconds(), _ASK_AGAIN_S))
            return
        self._waiting.pop(slot, None)
        self._pass(waiter.bytes_up, lambda: self._serve(slot, waiter.bytes_up))
        self._after(self._late(), lambda: self._begin(waiter.child))

    def _ask_later(self, waiter: _Waiter, wait: float) -> None:
        """Ask again after the wait, unless the waiter asks earlier."""
        waiter.asks += 1
        times = waiter.asks
        self._after(wait + self._late(), lambda: self._ask(waiter) if waiter.asks == times else None)

    def _serve(self, slot: str, bytes_up: int) -> None:
        bytes_down = self._varied(self._load.bytes_down)
        took = self._load.service * self._random.lognormvariate(0, 0.2)
        self._after(took, lambda: self._answer(slot, bytes_up, bytes_down))

    def _answer(self, slot: str, bytes_up: int, bytes_down: int) -> None:
        began = self._now

        def received() -> None:
            moved = Transfer(bytes_up, bytes_down, self._load.prompts, 1.0, self._now - began, lean=self._load.lean)
            self._after(self._late(), lambda: self._report(slot, moved))

        self._pass(bytes_down, received)

    def _report(self, slot: str, moved: Transfer) -> None:
        self._set_clock()
        self._flow.report("e", slot, GOOD, "frame", 0.5, moved)
        if self._waiting:
            self._ask_later(next(iter(self._waiting.values())), 0.0)

    def _pass(self, left: int, done: Callable[[], None]) -> None:
        if left <= 0:
            done()
            return
        piece = min(left, _PIECE)
        self._passed.pieces.append((self._now, piece))
        wait = 0.0
        if self._delays:
            self._paid_at = max(self._paid_at, self._now - _SAVED_S) + piece / self._limit
            wait = max(self._paid_at - self._now, 0.0)
        self._after(wait, lambda: self._pass(left - piece, done))
