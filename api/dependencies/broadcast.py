"""The latest events of a stream, shared by everyone who listens to it.

Each event is encoded once. A listener remembers only a number, so a slow listener holds no memory: it misses the events
that are no longer kept, and is notified of this.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

#: The number of events that are kept for listeners that have not sent them yet.
KEPT = 128


class Broadcast:
    """The last `kept` events of a stream. An instance belongs to one event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        self._events: deque[bytes] = deque(maxlen=kept)
        self._arrived = asyncio.Event()
        #: The number of events that were ever added. The next event has this number.
        self.count = 0
        #: True if no more events will come.
        self.ended = False

    def add(self, *events: bytes) -> None:
        """Add events, and wake everyone who waits."""
        self._events.extend(events)
        self.count += len(events)
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def since(self, number: int) -> Sequence[bytes] | None:
        """Return the events from this number on, or None if the first of them is no longer kept."""
        first = self.count - len(self._events)
        if number < first:
            return None
        return [self._events[place] for place in range(number - first, len(self._events))]

    async def wait(self, number: int, seconds: float) -> None:
        """Wait until there is an event with this number, the stream has ended, or the time is over."""
        if self.count > number or self.ended:
            return
        arrived = self._arrived
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await arrived.wait()

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()
