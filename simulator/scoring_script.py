"""Run a scoring script of Azure's raw HTTP kind around the simulator's model, as the real serving stack would.

The script is a file that is named at the start, so it is the deployed script itself and not an imitation. The
module supplies what the script imports from the serving stack (`azureml.contrib.services`): the request, the
response, and the decorator.
"""

import asyncio
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from simulator.messages import Answer, Request
from simulator.model import Model, Scored
from simulator.rows import rows_of


class ScriptRequest:
    """The request as the script reads it."""

    def __init__(self, request: Request) -> None:
        self.method = request.method
        self.headers = Headers(request.headers)
        self.content_length = request.body_bytes
        self._body = bytes(request.body)

    def get_data(self) -> bytes:
        return self._body


class Headers:
    """Request headers, whose names may be in upper or lower case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get(self, name: str, default: str | None = None) -> str | None:
        return self._headers.get(name.lower(), default)


class ScriptResponse:
    """The response as the script makes it, with the arguments of the serving stack's AMLResponse."""

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: Mapping[str, str] = {},
        json_str: bool = False,
    ) -> None:
        self.body = json.dumps(message).encode() if json_str else message or b""
        self.body = self.body.encode() if isinstance(self.body, str) else self.body
        self.status = status_code
        headers = {name.lower(): value for name, value in response_headers.items()}
        self.headers = {"content-type": "application/json" if json_str else "text/html; charset=utf-8"} | headers


class ScoringScript:
    """A loaded script. Its `predict` uses the model of the request on which the calling thread works."""

    def __init__(self, path: Path) -> None:
        self._module = load(path)
        vars(self._module)["predict"] = self._predict
        self._threads = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        self._here = threading.local()

    async def answer(self, request: Request, model: Model) -> tuple[Answer, Scored]:
        """Return the script's answer, and what the model was given. Raises ScriptError where the model does."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, request, model)

    def _run(self, request: Request, model: Model) -> tuple[Answer, Scored]:
        self._here.model, self._here.scored = model, Scored()
        response = self._module.run(ScriptRequest(request))
        return Answer(response.status, response.body, dict(response.headers)), self._here.scored

    def _predict(self, input_data: Any, _params: Any) -> list[Any]:
        self._here.scored = self._here.model.answers(rows_of(input_data))
        answers: list[Any] = self._here.scored.answers
        return answers


def load(path: Path) -> ModuleType:
    """Load the file as a module, with substitutes for what it imports from the serving stack."""
    request, response = (
        ModuleType("azureml.contrib.services.aml_request"),
        ModuleType("azureml.contrib.services.aml_response"),
    )
    request.rawhttp = lambda run: run  # type: ignore[attr-defined]
    response.AMLResponse = ScriptResponse  # type: ignore[attr-defined]
    parents = [ModuleType(name) for name in ("azureml", "azureml.contrib", "azureml.contrib.services")]
    sys.modules.update({module.__name__: module for module in (*parents, request, response)})
    spec = importlib.util.spec_from_file_location("scoring_script_of_the_deployment", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
