"""Read deadlines and a limit on the number of connections, so that idle or slow clients cannot exhaust the service.

uvicorn closes a connection that is idle between two requests. However, it waits without a limit for the first request,
and for the rest of a request's headers and body. The protocol in this module adds deadlines for these waits.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: The headers of the first request must be complete this many seconds after the connection was made. Those of a later
#: request must be complete this many seconds after its first byte.
HEADERS_S = 10.0
#: The longest time, in seconds, for which a sender may pause in the middle of a body while the server is ready to read.
IDLE_BODY_S = 30.0
#: The largest number of connections. If there are more, the oldest connection on which no request has begun yet is
#: closed. A request begins when its headers are complete.
MOST = 4096
_LOOK_S = 1.0


class Silent:
    """The connections on which no request has begun yet, oldest first, and the number of all connections.

    A request begins when its headers are complete.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[GuardedProtocol, None] = OrderedDict()
        self.open = 0

    def begin(self, connection: "GuardedProtocol") -> None:
        """Add a connection.

        If there are too many connections, close the oldest one on which no request has begun. It may be the new one.
        """
        self.open += 1
        self._waiting[connection] = None
        if self.open > self._most:
            oldest, _ = self._waiting.popitem(last=False)
            oldest.abort()

    def speaks(self, connection: "GuardedProtocol") -> None:
        self._waiting.pop(connection, None)

    def end(self, connection: "GuardedProtocol") -> None:
        self.open -= 1
        self._waiting.pop(connection, None)


class GuardedProtocol(H11Protocol):
    """A connection with deadlines. All connections of the server share `silent`."""

    silent = Silent(MOST)
    headers_s = HEADERS_S
    idle_body_s = IDLE_BODY_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers_due: float | None = self.loop.time() + self.headers_s
        self._last_byte = self.loop.time()
        self._look: asyncio.TimerHandle | None = self.loop.call_later(_LOOK_S, self._check_deadlines)
        self.silent.begin(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._last_byte = self.loop.time()
        if self._is_answering():
            self._headers_due = None
            self.silent.speaks(self)
        elif self._headers_due is None:  # these are the first bytes of the next request
            self._headers_due = self._last_byte + self.headers_s

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.silent.end(self)
        if self._look is not None:
            self._look.cancel()

    def abort(self) -> None:
        """Close the connection at once. This is done if a deadline has passed, or if there are too many connections."""
        self.transport.abort()

    def _check_deadlines(self) -> None:
        now = self.loop.time()
        if self._is_answering():
            if self._body_is_awaited() and now - self._last_byte > self.idle_body_s:
                self.abort()
                return
        elif self._headers_due is not None and now > self._headers_due:
            self.abort()
            return
        self._look = self.loop.call_later(_LOOK_S, self._check_deadlines)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _body_is_awaited(self) -> bool:
        """Return whether the server waits for more of the body. It does not while it has paused reading."""
        paused: bool = self.flow.read_paused
        return bool(self.cycle.more_body) and not paused


def guarded(most: int = MOST, headers_s: float = HEADERS_S, idle_body_s: float = IDLE_BODY_S) -> type[GuardedProtocol]:
    """Return the protocol class of one server, with these limits."""
    limits: dict[str, Any] = {"silent": Silent(most), "headers_s": headers_s, "idle_body_s": idle_body_s}
    return type("Guarded", (GuardedProtocol,), limits)
