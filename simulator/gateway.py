"""The gateway in front of the container: authentication, concurrency limits and time limits.

Statuses and limits are those that Azure documents. The texts of the bodies are not documented, and were
written for the simulator.
"""

import asyncio
import time
from dataclasses import dataclass, field
from random import Random

from simulator.container import Container
from simulator.counters import RATE_SPAN_S, Counters
from simulator.credentials import Credentials
from simulator.faults import TOO_MANY, Fault, model_error
from simulator.messages import Answer, Request, json_answer
from simulator.meters import Window

BODY_LIMIT = 100 * 1024 * 1024
UNGATED = ("/", "/swagger.json")


@dataclass
class Gateway:
    """One endpoint with one deployment behind it. All public attributes may be changed at run time."""

    container: Container
    counters: Counters
    credentials: Credentials
    deployment: str
    request_timeout_s: float
    requests_per_s: float
    random: Random
    faults: list[Fault] = field(default_factory=list)
    traffic: bool = True
    _passed: Window = field(default_factory=lambda: Window(RATE_SPAN_S))
    _running: set[asyncio.Task[Answer]] = field(default_factory=set)

    async def answer(self, request: Request) -> Answer:
        """Return the response of the endpoint or of the control plane."""
        if request.path in UNGATED:
            return self._relayed(await self.container.answer(request))
        if self.credentials.answers(request):
            return self.credentials.issue(request)
        self.counters.rate.add(1, time.monotonic())
        refused = self._unauthorised(request) or self._unrouted(request) or self._too_much(request)
        return refused or await self._spoiled(request) or await self._forward(request)

    def restart(self) -> None:
        """Terminate the container's processes.

        Connections that wait for a response are reset, and the responses are lost.
        """
        for work in self._running:
            work.cancel()

    def _unauthorised(self, request: Request) -> Answer | None:
        if self.credentials.accepts(request):
            return None
        return self._refusal("token", 401, "The token is missing, wrong or expired.", www_authenticate="Bearer")

    def _unrouted(self, request: Request) -> Answer | None:
        pinned = request.headers.get("azureml-model-deployment")
        if pinned is None and not self.traffic:
            return self._refusal("traffic", 404, "The endpoint has no deployment with traffic.")
        if pinned is not None and pinned != self.deployment:
            return self._refusal("deployment", 404, "The endpoint has no deployment of this name.")
        return None

    def _too_much(self, request: Request) -> Answer | None:
        now = time.monotonic()
        if self._passed.total(now) >= self.requests_per_s:
            return self._refusal("rate", 429, TOO_MANY["rate"])
        self._passed.add(1, now)
        if request.body_bytes > BODY_LIMIT:
            return self._refusal("size", 413, "Request entity too large.")
        return None

    async def _spoiled(self, request: Request) -> Answer | None:
        """Return the response of the first fault that applies.

        After a 408, the container continues to process the request, as a real container does.
        """
        for fault in self.faults:
            if fault.strikes(request.body, self.random):
                self.counters.refused["fault"] += 1
                if fault.status == 408 and not self._full():
                    self._begin(request)
                return await fault.apply(lambda: self._forward(request))
        return None

    async def _forward(self, request: Request) -> Answer:
        """Return the container's response, or a 408 if it takes too long.

        After a 408, the container continues to process the request, and the slot stays in use.
        """
        if self._full():
            return self._refusal("pending", 429, TOO_MANY["pending"])
        work = self._begin(request)
        done, _ = await asyncio.wait([work], timeout=self.request_timeout_s)
        if not done:
            return self._refusal("timeout", 408, "The request timed out.")
        return Answer(0, cut="reset") if work.cancelled() else self._relayed(work.result())

    def _full(self) -> bool:
        return self.counters.pending.now >= 2 * self.container.slots.count

    def _begin(self, request: Request) -> asyncio.Task[Answer]:
        self.counters.pending.change(1, time.monotonic())
        work = asyncio.create_task(self.container.answer(request))
        self._running.add(work)
        work.add_done_callback(self._ended)
        return work

    def _ended(self, work: asyncio.Task[Answer]) -> None:
        self.counters.pending.change(-1, time.monotonic())
        self._running.discard(work)

    def _refusal(self, kind: str, status: int, message: str, **headers: str) -> Answer:
        self.counters.refused[kind] += 1
        return json_answer(status, {"message": message}, **headers)

    def _relayed(self, answer: Answer) -> Answer:
        relayed = answer if answer.status == 200 else model_error(answer)
        return relayed.with_headers(azureml_model_deployment=self.deployment)
