"""Middleware that accepts HEAD for every GET route, and paths with a trailing slash."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PlainRequests:
    """The outermost ASGI middleware.

    HEAD is handled like GET, but no body is sent. `/v1/jobs/` is handled like `/v1/jobs`. `scope["state"]["head"]`
    tells a handler that the body of its response will not be sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] != "/" and scope["path"].endswith("/"):
            path, raw_path = scope["path"].rstrip("/") or "/", scope["raw_path"].rstrip(b"/") or b"/"
            scope = {**scope, "path": path, "raw_path": raw_path}
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "method": "GET", "state": {**scope.get("state", {}), "head": True}}

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, without_body)
