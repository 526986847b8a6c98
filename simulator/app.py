"""The ASGI application: HTTP in, HTTP out, and the control page at `/_simulator`."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from simulator.container import Container
from simulator.counters import Counters
from simulator.faults import parse_faults
from simulator.gateway import BODY_LIMIT, Gateway
from simulator.messages import Answer, Request, json_answer

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
CONTROL = "/_simulator"


@dataclass
class Simulator:
    """The endpoint as one ASGI callable. Without a gateway the bare container answers."""

    container: Container
    gateway: Gateway | None
    counters: Counters
    gzip_answers: bool

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        request = await _read(scope, receive)
        if request.path == CONTROL:
            await _send(self._control(request), send)
            return
        answer = await (self.gateway or self.container).answer(request)
        if self.gzip_answers and "gzip" in request.headers.get("accept-encoding", "") and not answer.cut:
            body = await asyncio.to_thread(gzip.compress, answer.body, 1)
            answer = replace(answer, body=body).with_headers(content_encoding="gzip")
        self._count(request, answer)
        await _send(answer, send)

    def _count(self, request: Request, answer: Answer) -> None:
        if request.path == "/score":
            self.counters.answers[answer.cut or str(answer.status)] += 1
            self.counters.bytes_in += request.body_bytes
            self.counters.bytes_out += len(answer.body)

    def _control(self, request: Request) -> Answer:
        """GET: the counters. POST: sets what the JSON object names, among `fail`, `service_time`, `traffic`."""
        if request.method == "GET":
            return json_answer(200, self.counters.as_json())
        try:
            self._set(**json.loads(request.body))
        except (TypeError, ValueError) as error:
            return json_answer(400, {"message": str(error)})
        return json_answer(200, {})

    def _set(self, **wanted: Any) -> None:
        if "service_time" in wanted:
            self.container.service_time_s = float(wanted.pop("service_time"))
        if self.gateway is not None and "fail" in wanted:
            self.gateway.faults = parse_faults(wanted.pop("fail"))
        if self.gateway is not None and "traffic" in wanted:
            self.gateway.traffic = bool(wanted.pop("traffic"))
        if wanted:
            raise ValueError(f"cannot set {', '.join(wanted)}")


async def _read(scope: dict[str, Any], receive: Receive) -> Request:
    """The whole request. What goes beyond the gateway's limit is read, so that it can be answered, but not kept."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    chunks, size, more = [], 0, True
    while more:
        event = await receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:
            chunks.append(chunk)
        more = event.get("more_body", False)
    return Request(scope["method"], scope["path"], headers, b"".join(chunks), size)


async def _send(answer: Answer, send: Send) -> None:
    if answer.cut == "reset":
        await _reset(send)
        return
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    if answer.cut == "truncated":
        # The server closes a connection whose response the application leaves unfinished.
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        return
    await send({"type": "http.response.body", "body": answer.body})


async def _reset(send: Send) -> None:
    """End the connection with a TCP reset. ASGI has no word for it, so this reaches into uvicorn's cycle."""
    transport = send.__self__.transport  # type: ignore[attr-defined]
    linger_zero = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
    transport.abort()
    await asyncio.sleep(0)  # lets the server notice before the application returns
