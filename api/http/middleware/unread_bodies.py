"""Middleware for responses that are sent before the request's body has been read."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: How much of the body is still read, in bytes and in seconds, so that a caller that is still sending
#: gets the response.
_Patience = tuple[int, float]
#: A short body is read completely. Otherwise a proxy that is still sending returns 502 when the connection closes.
_WHOLE: _Patience = (64 << 20, 10.0)
#: Of a long body, or one of unknown length, only a little is read. The sender is then stalled until it
#: has the response.
_BRIEF: _Patience = (64 << 10, 3.0)


class UnreadBodies:
    """ASGI middleware that closes the connection if the handler has not read the body to its end.

    Without it, the server would continue to receive an upload that was refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive, _patience(scope))

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.ended:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            elif message["type"] == "http.response.body" and not message.get("more_body") and not body.ended:
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, body.receive, answering)


class _Body:
    """The request's body as it is received. `ended` is set when no more of it will come."""

    def __init__(self, receive: Receive, patience: _Patience) -> None:
        self._receive = receive
        self._bytes, self._seconds = patience
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = self.ended or message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def linger(self) -> None:
        """Read the body up to the limit, then stall the sender until the time is over.

        If the connection were closed with unread bytes, it would be reset. A proxy that cannot write then reports 502
        without reading the response. If nothing is read instead, the sender's buffers fill up, it stops sending, and
        it reads the response.
        """
        taken = 0
        with anyio.move_on_after(self._seconds):
            while not self.ended and taken < self._bytes:
                taken += len((await self.receive()).get("body", b""))
            if not self.ended:
                await anyio.sleep(self._seconds)


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _patience(scope: Scope) -> _Patience:
    declared = dict(scope["headers"]).get(b"content-length", b"")
    return _WHOLE if declared.isdigit() and int(declared) <= _WHOLE[0] else _BRIEF
