"""The gateway in front: who may ask, how much at once, how long.

Statuses and limits are documented; the wording of the bodies is not, and is ours.
"""

import asyncio
import hmac
import time
from collections import deque
from dataclasses import dataclass, field

from simulator.container import Container
from simulator.counters import Counters
from simulator.faults import Fault, model_error
from simulator.messages import Answer, Request, json_answer

BODY_LIMIT = 100 * 1024 * 1024
UNGATED = ("/", "/swagger.json")


@dataclass
class Gateway:
    """One endpoint with one deployment behind it. `faults` and `traffic` may be changed while it runs."""

    container: Container
    counters: Counters
    key: str
    deployment: str
    request_timeout_s: float
    requests_per_s: float
    faults: list[Fault] = field(default_factory=list)
    traffic: bool = True
    _recent: deque[float] = field(default_factory=deque)
    _running: set[asyncio.Task[Answer]] = field(default_factory=set)

    async def answer(self, request: Request) -> Answer:
        """The endpoint's answer."""
        if request.path in UNGATED:
            return _relayed(await self.container.answer(request))
        refused = self._unauthorised(request) or self._unrouted(request) or self._too_much(request)
        if refused:
            return refused
        for fault in self.faults:
            if fault.strikes(request.body):
                return await fault.apply(lambda: self._forward(request))
        return await self._forward(request)

    def _unauthorised(self, request: Request) -> Answer | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), self.key.encode()):
            return None
        return _refusal(401, "The token is missing, wrong or expired.", www_authenticate="Bearer")

    def _unrouted(self, request: Request) -> Answer | None:
        pinned = request.headers.get("azureml-model-deployment")
        if pinned is None and not self.traffic:
            return _refusal(404, "The endpoint has no deployment with traffic.")
        if pinned is not None and pinned != self.deployment:
            return _refusal(404, "The endpoint has no deployment of this name.")
        return None

    def _too_much(self, request: Request) -> Answer | None:
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.requests_per_s:
            return _refusal(429, "Rate-limited: too many requests per second.")
        self._recent.append(now)
        if request.body_bytes > BODY_LIMIT:
            return _refusal(413, "Request entity too large.")
        return None

    async def _forward(self, request: Request) -> Answer:
        """What the container says in time; after that it is left working and keeps its place in the line."""
        if self.counters.pending >= 2 * self.container.slots:
            return _refusal(429, "Too many pending requests.")
        self.counters.pending += 1
        work = asyncio.create_task(self.container.answer(request))
        self._running.add(work)
        work.add_done_callback(self._ended)
        done, _ = await asyncio.wait([work], timeout=self.request_timeout_s)
        return _relayed(work.result()) if done else _refusal(408, "The request timed out.")

    def _ended(self, work: asyncio.Task[Answer]) -> None:
        self.counters.pending -= 1
        self._running.discard(work)


def _relayed(answer: Answer) -> Answer:
    return answer if answer.status == 200 else model_error(answer)


def _refusal(status: int, message: str, **headers: str) -> Answer:
    return json_answer(status, {"message": message}, **headers)
