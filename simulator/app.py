"""The endpoint and its control page, as a function from requests to responses. The HTTP server is in another module."""

import asyncio
import functools
import gzip
from dataclasses import dataclass, field, replace

from simulator.container import Container
from simulator.control import CONTROL, Control
from simulator.counters import Counters
from simulator.gateway import Gateway
from simulator.knobs import knobs_of
from simulator.messages import Answer, Request
from simulator.pipe import Pipe


@dataclass
class Simulator:
    """The simulated endpoint. If there is no gateway, requests go directly to the container."""

    container: Container
    gateway: Gateway | None
    pipe: Pipe
    counters: Counters
    gzip_answers: bool
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        knobs = knobs_of(self, self.container, self.gateway, self.pipe, self.counters)
        self.control = Control(self.counters, knobs)

    async def answer(self, request: Request) -> Answer:
        """Return the response, compressed if that is enabled and the client accepts it."""
        if request.path == CONTROL:
            return self.control.answer(request)
        answer = await (self.gateway or self.container).answer(request)
        if self.gzip_answers and "gzip" in request.headers.get("accept-encoding", "") and not answer.cut:
            body = await asyncio.to_thread(_compressed, answer.body)
            answer = replace(answer, body=body).with_headers(content_encoding="gzip")
        if measured(request.path):
            self.counters.answers[answer.cut or str(answer.status)] += 1
        return answer


def measured(path: str) -> bool:
    """Return whether a request for this path is counted and delayed by the bandwidth limit."""
    return path == "/score"


@functools.lru_cache(maxsize=8)  # canned responses repeat
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 1)
