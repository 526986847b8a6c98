"""Server-sent events: their form, and the stream that one listener gets."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse

from api.dependencies.broadcast import Broadcast

#: A comment is sent after this many seconds without an event, so that proxies keep the connection.
HEARTBEAT_S = 15.0
#: A stream ends after this many seconds. The listener connects again, and its key is checked again.
LONGEST_S = 900.0
#: The first line of a stream: after how many milliseconds a listener should connect again.
RETRY = b"retry: 2000\n\n"
HEARTBEAT = b": heartbeat\n\n"
#: `X-Accel-Buffering` tells nginx to pass each event on at once.
_HEADERS = {"Cache-Control": "no-store", "Vary": "Authorization", "X-Accel-Buffering": "no"}


def encoded(event: str, place: str, data: Any) -> bytes:
    """Return an event as bytes. `place` is its id, from which a listener can continue later."""
    # in ASCII, so that no reader takes a character of a name for the end of a line
    body = json.dumps(data, separators=(",", ":"))
    return f"id: {place}\nevent: {event}\ndata: {body}\n\n".encode()


def dropped(place: str, reason: str) -> bytes:
    """Return the event which says that events were skipped."""
    return encoded("dropped", place, {"reason": reason})


async def follow(broadcast: Broadcast, number: int, place: Callable[[], str]) -> AsyncIterator[bytes]:
    """Yield the events from this number on, and comments in between, until the stream ends.

    A listener that is too slow gets an event `dropped`, whose id is the current `place`, instead of the events that it
    has missed.
    """
    while True:
        events = broadcast.since(number)
        number = broadcast.count
        if events is None:
            yield dropped(place(), "too_slow")
        elif events:
            yield b"".join(events)
        elif broadcast.ended:
            return
        else:
            await broadcast.wait(number, HEARTBEAT_S)
            if broadcast.count == number and not broadcast.ended:
                yield HEARTBEAT


def streamed(events: AsyncGenerator[bytes], *, head: bool) -> StreamingResponse:
    """Return the response that sends these events. For HEAD, nothing is sent."""
    body = _nothing() if head else _until_deadline(events)
    return StreamingResponse(body, headers=_HEADERS, media_type="text/event-stream")


async def _until_deadline(events: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """Yield the events until `LONGEST_S` is over.

    The time is checked before each event, so a slow listener, for which the next event is always ready, is not served
    for longer. While nothing happens, the heartbeat comes often enough to notice the end of the time.
    """
    deadline = asyncio.get_running_loop().time() + LONGEST_S
    async with aclosing(events):
        async for event in events:
            if asyncio.get_running_loop().time() >= deadline:
                return
            yield event


async def _nothing() -> AsyncIterator[bytes]:
    for event in tuple[bytes, ...]():
        yield event
