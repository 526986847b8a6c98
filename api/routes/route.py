"""One row of the route table. FastAPI's route and its description in OpenAPI are made from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from api.auth.scopes import KEYLESS, Access
from api.routes.openapi import Answers, answers

#: The statuses of the errors that every route that needs an API key can return.
_UNAUTHORISED = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path with a method, its handler, its access, and its responses."""

    method: Literal["GET", "POST", "PUT", "DELETE"] = "GET"
    path: str
    handler: Callable[..., Any]
    access: Access
    #: The heading under which the reference of the HTTP API lists the route.
    tag: str
    #: The status and the model of the body of a successful response.
    status: int = 200
    model: type[BaseModel] | None = None
    #: The class of a response that is not JSON.
    response: type[Response] | None = None
    #: The statuses of the errors that the route can return, without those that follow from `access`.
    problems: tuple[int, ...] = ()
    #: Responses, or parts of a response, that the fields `status`, `model` and `problems` do not describe.
    others: Answers = field(default_factory=dict)
    #: The request headers that the handler reads.
    headers: Sequence[Mapping[str, Any]] = ()
    #: The body of the request, if the handler parses it itself.
    body: Mapping[str, Any] | None = None

    def add_to(self, app: FastAPI) -> None:
        # for JSON, the framework's default is the fastest
        kind: dict[str, Any] = {"response_class": self.response} if self.response else {}
        app.add_api_route(
            self.path,
            self.handler,
            methods=[self.method],
            status_code=self.status,
            response_model=self.model,
            responses=answers(*self._problems(), others=self.others),
            openapi_extra=self._described(),
            tags=[self.tag],
            **kind,
        )

    def _problems(self) -> list[int]:
        if self.access == "public":
            return list(self.problems)
        unauthorised = _UNAUTHORISED[:1] if self.access in KEYLESS else _UNAUTHORISED
        return sorted({*unauthorised, *self.problems})

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {}
        if self.body is not None:
            described["requestBody"] = self.body
        if self.headers:
            described["parameters"] = list(self.headers)
        return described | {"security": [] if self.access in KEYLESS else [{"key": [self.access]}]}
