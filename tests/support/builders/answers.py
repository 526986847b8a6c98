"""Check that a running API gives only answers that its OpenAPI document lists for the route."""

import functools

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.routes import add_routes
from api.routes.openapi import describe


class Answers:
    """ASGI middleware around the whole API. `undocumented` collects the answers that the document does not list.

    It ignores 500, which some tests provoke and no document lists, methods that a path does not have, and answers that
    were given before a route was found.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._given: set[tuple[str, str, int]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "")
                self._given.add((scope["method"], path, message["status"]))
            await send(message)

        await self._app(scope, receive, answering)

    def undocumented(self) -> list[tuple[str, str, int]]:
        known = documented()
        of_routes = [given for given in self._given if given[:2] in known and given[2] != 500]
        return sorted(given for given in of_routes if str(given[2]) not in known[given[:2]])


@functools.cache
def documented() -> dict[tuple[str, str], set[str]]:
    """Return the statuses that the document lists for each method (in capitals) and path."""
    app = FastAPI()
    add_routes(app)
    describe(app)
    operations = [(path, one) for path, of_path in app.openapi()["paths"].items() for one in of_path.items()]
    return {(method.upper(), path): set(operation["responses"]) for path, (method, operation) in operations}
