"""Middleware that measures the response times of this process by route. `/metrics` shows them."""

import time

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The label for paths without a route.
_NO_ROUTE = "none"
#: The type of a response that lasts as long as the caller listens. For it, the time until it begins is measured.
_STREAM = b"text/event-stream; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class RequestMetrics:
    """ASGI middleware that measures the time until the response is sent, by method, route template and status.

    For a stream of events, it measures the time until the response begins. The path itself is never used as a label,
    because it contains job ids and other text that a caller chose.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._seconds = Histogram(
            "maskrelay_api_request_seconds",
            "Seconds from the head of a request to the end of the response.",
            ("method", "route", "status"),
            registry=registry,
            buckets=_BUCKETS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, begun, status = time.perf_counter(), None, 499  # 499 means that the caller has disconnected

        async def answering(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                status = message["status"]
                if (b"content-type", _STREAM) in message["headers"]:
                    begun = time.perf_counter()
            await send(message)

        try:
            await self._app(scope, receive, answering)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            method = scope["method"] if route != _NO_ROUTE else _NO_ROUTE
            self._seconds.labels(method, route, str(status)).observe((begun or time.perf_counter()) - began)
