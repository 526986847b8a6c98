"""A discrete-event simulation of an endpoint and of clients that always have more to send."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from bench.limit_rules import Rule, Score


@dataclass(frozen=True)
class Scene:
    """A scenario, with times in seconds.

    `slots` gives the endpoint's concurrency from each second on. The same number of requests may also wait.
    """

    name: str
    slots: tuple[tuple[float, int], ...]
    start: int
    most: int
    service: float
    seconds: float = 120.0

    def real(self, at: float) -> int:
        """Return the largest number of requests in flight at which the endpoint refuses none at this time."""
        return 2 * next(count for since, count in reversed(self.slots) if since <= at)


@dataclass
class Run:
    """The course of one simulation: `limit` for each tenth of a second, and the seconds in which scores
    were sent and refused.
    """

    limit: list[int] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)


class Model:
    """A simulation. The seed determines the delays of the network and of workers, and the variation
    of the service time.
    """

    def __init__(self, scene: Scene, rule: Rule, seed: int) -> None:
        self._scene, self._rule, self._random = scene, rule, Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order: Iterator[int] = itertools.count()
        self._line: deque[Score] = deque()
        self._now = 0.0
        self._in_flight = self._pending = self._working = 0
        self.run = Run()

    def play(self) -> Run:
        """Run the whole scenario."""
        self._begin_what_may()
        for tenth in range(round(self._scene.seconds * 10)):
            self._at(tenth / 10 - self._now, self._sample)
        while self._events:
            at, _, happen = heapq.heappop(self._events)
            if at > self._scene.seconds:
                break
            self._now = at
            happen()
        return self.run

    def _at(self, delay: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay, next(self._order), happen))

    def _sample(self) -> None:
        self.run.limit.append(int(self._rule.limit))
        self._work()

    def _begin_what_may(self) -> None:
        while self._in_flight < int(self._rule.limit):
            self._in_flight += 1
            score = Score(self._now * 1000, self._in_flight, self._rule.refused)
            self._at(self._random.uniform(0.005, 0.03), lambda score=score: self._arrive(score))

    def _arrive(self, score: Score) -> None:
        self.run.sent.append(self._now)
        if self._pending >= self._scene.real(self._now):
            self.run.refused.append(self._now)
            self._at(self._random.uniform(0.003, 0.01), lambda: self._end(score, good=False))
            return
        self._pending += 1
        self._line.append(score)
        self._work()

    def _work(self) -> None:
        while self._line and 2 * self._working < self._scene.real(self._now):
            self._working += 1
            score = self._line.popleft()
            took = self._scene.service * self._random.lognormvariate(0, 0.2)
            self._at(took, lambda score=score: self._answer(score))

    def _answer(self, score: Score) -> None:
        self._working -= 1
        self._pending -= 1
        self._at(self._random.uniform(0.005, 0.03), lambda: self._end(score, good=True))
        self._work()

    def _end(self, score: Score, *, good: bool) -> None:
        full = self._in_flight >= int(self._rule.limit)
        self._in_flight -= 1
        if not good:
            self._rule.refuse(score, self._now * 1000)
        elif full:
            self._rule.good(score, self._now * 1000)
        self._begin_what_may()
