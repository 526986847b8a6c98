"""The container behind the gateway: the serving stack's own answers, around the stand-in model.

Statuses, messages and headers are those of azureml-inference-server-http 1.5.1, read off the running server.
"""

import asyncio
import json
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from simulator.counters import Counters
from simulator.messages import Answer, Request, json_answer
from simulator.model import Scored, score
from simulator.rows import ScriptError, rows_of

HEADER_LIMIT = 100
SERVER_VERSION = "azmlinfsrv/1.5.1"
NO_URL = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
NO_INPUT = "A value is not provided for the 'input_data' parameter."
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
METHODS = {"/": ("GET", "HEAD"), "/swagger.json": ("GET", "HEAD"), "/score": ("GET", "HEAD", "POST", "OPTIONS")}
SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "ML service", "version": "1.0"},
    "paths": {"/": {"get": {}}, "/score": {"post": {"consumes": ["application/json"]}}},
}


@dataclass
class Container:
    """All instances of one deployment. `slots` requests are worked on at once, the others wait in line.

    `service_time_s` is what one row takes at least; `scoring_timeout_s` is the server's own limit.
    """

    slots: int
    service_time_s: float
    scoring_timeout_s: float
    counters: Counters
    _free: asyncio.Semaphore = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.slots)
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)

    async def answer(self, request: Request) -> Answer:
        """The container's answer, whatever was sent."""
        methods = METHODS.get(request.path)
        if methods is None:
            return failed(404, NO_URL)
        if request.method not in methods:
            return failed(405, "The method is not allowed for the requested URL.")
        identity, complaint = _identity(request.headers)
        answer = failed(431, complaint) if complaint else await self._route(request)
        return answer.with_headers(**identity)

    async def _route(self, request: Request) -> Answer:
        if request.path == "/":
            return Answer(200, b"Healthy", {"content-type": "text/html; charset=utf-8"})
        if request.path == "/swagger.json":
            return json_answer(200, SWAGGER, x_ms_run_function_failed="False")
        if request.method == "OPTIONS":
            return Answer(200, b"", {"content-type": "text/html; charset=utf-8", "x-ms-run-function-failed": "False"})
        if request.method == "HEAD":
            return failed(405, "Method not allowed")
        refused, input_data = _input_data(request)
        return refused or await self._score(input_data)

    async def _score(self, input_data: Any) -> Answer:
        async with self._free:
            self.counters.begin()
            started = time.perf_counter()
            try:
                scored = await asyncio.wait_for(self._work(input_data), self.scoring_timeout_s)
            except TimeoutError:
                return failed(500, f"Scoring timeout after {self.scoring_timeout_s * 1000:.0f} ms", run="True")
            except ScriptError:
                return script_failed()
            finally:
                self.counters.end(time.perf_counter() - started)
            self._count(scored)
            elapsed_ms = (time.perf_counter() - started) * 1000
            return json_answer(
                200, scored.rows, x_ms_run_function_failed="False", x_ms_run_fn_exec_ms=f"{elapsed_ms:.3f}"
            )

    async def _work(self, input_data: Any) -> Scored:
        started = time.perf_counter()
        rows = rows_of(input_data)
        scored = await asyncio.get_running_loop().run_in_executor(self._threads, score, rows)
        await asyncio.sleep(max(self.service_time_s * len(rows) - (time.perf_counter() - started), 0))
        return scored

    def _count(self, scored: Scored) -> None:
        self.counters.rows += len(scored.rows)
        self.counters.images.update(scored.images)
        self.counters.kinds.update(scored.kinds)
        self.counters.prompts.update(scored.prompts)


def failed(status: int, message: str, run: str = "False") -> Answer:
    """The server's own form of an error; `run` says whether the score script is to blame."""
    return json_answer(status, {"message": message}, x_ms_run_function_failed=run)


def script_failed(status: int = 500) -> Answer:
    """What the server says when the score script raised."""
    return failed(status, SCRIPT_FAILED, run="True")


def _identity(sent: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """The id headers of the answer, and the complaint when an id is too long."""
    headers = {"x-ms-server-version": SERVER_VERSION}
    request_id = sent.get("x-request-id", str(uuid.uuid4()))
    if len(request_id) > HEADER_LIMIT:
        return headers, f"x-request-id must not exceed {HEADER_LIMIT} characters"
    headers["x-request-id"] = request_id
    legacy = sent.get("x-ms-request-id", "")
    client = sent.get("x-ms-client-request-id", "") or legacy
    if max(len(legacy), len(client)) > HEADER_LIMIT:
        return headers, f"x-ms-request-id and x-ms-client-request-id must not exceed {HEADER_LIMIT} characters"
    headers["x-ms-request-id"] = legacy or client or request_id
    if client:
        headers["x-ms-client-request-id"] = client
    return headers, None


def _input_data(request: Request) -> tuple[Answer | None, Any]:
    """A refusal, or None and the value of `input_data`."""
    if request.method == "GET":
        return failed(400, NO_INPUT), None
    if not _is_json(request.headers.get("content-type", "")):
        return failed(415, "Expects Content-Type to be application/json"), None
    try:
        content = json.loads(request.body)
    except json.JSONDecodeError as error:
        reason = f"could not be decoded as JSON: {error}" if request.body else "is empty. Expecting a JSON dictionary."
        return failed(400, f"POST body {reason}"), None
    except UnicodeDecodeError:
        return failed(500, "An unexpected internal error occurred. Check the logs for more info."), None
    if not isinstance(content, dict):
        return failed(400, "POST body should be a JSON dictionary."), None
    return (None, content["input_data"]) if "input_data" in content else (failed(400, NO_INPUT), None)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
