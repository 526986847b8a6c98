"""Middleware for responses that are sent before the request's body has been read."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The limits on reading the rest of a body after the response: a number of bytes and a number of seconds. The body is
#: read so that a caller that is still sending gets the response.
_Patience = tuple[int, float]
#: The limits for a body with a declared length of at most 64 MiB. It is read completely, unless this takes more than
#: ten seconds. A proxy that is still sending when the connection closes would return 502.
_WHOLE: _Patience = (64 << 20, 10.0)
#: The limits for a body of more than 64 MiB or of unknown length. Only a little of it is read. For the rest of the
#: time, nothing is read, so the sender has to stop sending, and can read the response.
_BRIEF: _Patience = (64 << 10, 3.0)


class UnreadBodies:
    """ASGI middleware that closes the connection if the handler has not read the body to its end.

    Without this middleware, the server would continue to receive an upload that it has refused.
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
    """The request's body as it is received. `ended` is true when no more of it will come."""

    def __init__(self, receive: Receive, patience: _Patience) -> None:
        self._receive = receive
        self._bytes, self._seconds = patience
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = self.ended or message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def linger(self) -> None:
        """Read the body up to the limit, then stop reading until the time is over.

        If the connection were closed at once, with unread bytes, it would be reset. A proxy that is still sending would
        then report 502 without reading the response. While the connection stays open and nothing is read, the sender's
        buffers fill up. The sender then stops sending, and can read the response.
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
