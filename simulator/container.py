"""The container behind the gateway: the responses of the serving stack, around a substitute for the model.

Statuses, messages and headers are those of azureml-inference-server-http 1.5.1, as observed on the running server.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulator.counters import Counters
from simulator.messages import Answer, Request, json_answer
from simulator.model import Model, Scored
from simulator.rows import ScriptError, rows_of
from simulator.scoring_script import ScoringScript
from simulator.slots import Slots

HEADER_LIMIT = 100
SERVER_VERSION = "azmlinfsrv/1.5.1"
NO_URL = (
    "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
EMPTY = "Expecting a JSON dictionary."
NO_INPUT = "A value is not provided for the 'input_data' parameter."
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
METHODS = {"/": ("GET", "HEAD"), "/swagger.json": ("GET", "HEAD"), "/score": ("GET", "HEAD", "POST", "OPTIONS")}
SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "ML service", "version": "1.0"},
    "paths": {"/": {"get": {}}, "/score": {"post": {"consumes": ["application/json"]}}, "/swagger.json": {"get": {}}},
}


@dataclass
class Container:
    """All instances of one deployment. Requests wait in a queue if no slot is free.

    `service_time_s` × `slowdown` is the shortest time for one row. `scoring_timeout_s` is the time after which the
    server stops waiting for the model. If `script` is given, the scoring script of the lean deployment processes
    requests while `lean` is true.
    """

    model: Model
    slots: Slots
    service_time_s: float
    scoring_timeout_s: float
    counters: Counters
    slowdown: float = 1.0
    script: ScoringScript | None = None
    lean: bool = True

    async def answer(self, request: Request) -> Answer:
        """Return the container's response to any request."""
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
        if self.script is not None and self.lean:
            return await self._score(partial(self.script.answer, request, self.model))
        if request.method == "OPTIONS":
            return Answer(200, b"", {"content-type": "text/html; charset=utf-8", "x-ms-run-function-failed": "False"})
        if request.method == "HEAD":
            return failed(405, "Method not allowed")
        refused, input_data = self._input_data(request)
        return refused or await self._score(partial(self._by_model, input_data))

    async def _score(self, work: Callable[[], Awaitable[tuple[Answer, Scored]]]) -> Answer:
        started, ended = await self.slots.take(), None
        self.counters.begin(started)
        try:
            async with asyncio.timeout(self.scoring_timeout_s):
                answer, scored = await work()
                ended = await _not_before(started + self.service_time_s * self.slowdown * scored.count)
        except TimeoutError:
            return failed(500, f"Scoring timeout after {self.scoring_timeout_s * 1000:.0f} ms", run="True")
        except ScriptError:
            return script_failed()
        finally:
            ended = ended or time.monotonic()
            self.counters.end(ended)
            self.slots.free(ended)
        self._count(scored)
        return answer.with_headers(
            x_ms_run_function_failed="False", x_ms_run_fn_exec_ms=f"{(ended - started) * 1000:.3f}"
        )

    async def _by_model(self, input_data: Any) -> tuple[Answer, Scored]:
        body, scored = await self.model.score(rows_of(input_data))
        return Answer(200, body, {"content-type": "application/json"}), scored

    def _count(self, scored: Scored) -> None:
        self.counters.rows += scored.count
        self.counters.images.update(scored.images)
        self.counters.kinds.update(scored.kinds)
        self.counters.prompts.update(scored.prompts)

    def _input_data(self, request: Request) -> tuple[Answer | None, Any]:
        """Return an error response and None, or None and the value of `input_data`."""
        if request.method == "GET":
            return failed(400, NO_INPUT), None
        if not _is_json(request.headers.get("content-type", "")):
            return failed(415, "Expects Content-Type to be application/json"), None
        try:
            content = self.model.parse(request.body)
        except json.JSONDecodeError as error:
            reason = f"could not be decoded as JSON: {error}" if request.body else f"is empty. {EMPTY}"
            return failed(400, f"POST body {reason}"), None
        except UnicodeDecodeError:
            return failed(500, "An unexpected internal error occurred. Check the logs for more info."), None
        if not isinstance(content, dict):
            return failed(400, "POST body should be a JSON dictionary."), None
        return (None, content["input_data"]) if "input_data" in content else (failed(400, NO_INPUT), None)


async def _not_before(due: float) -> float:
    """Wait until `due`. Return `due`, or the current time if `due` was in the past."""
    now = time.monotonic()
    await asyncio.sleep(due - now)
    return max(now, due)


def failed(status: int, message: str, run: str = "False") -> Answer:
    """Return an error in the server's own format. `run` says whether the scoring script caused it."""
    return json_answer(status, {"message": message}, x_ms_run_function_failed=run)


def script_failed(status: int = 500) -> Answer:
    """Return the server's response after an exception in the scoring script."""
    return failed(status, SCRIPT_FAILED, run="True")


def _identity(sent: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """Return the id headers of the response, and an error message if an id is too long."""
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


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
