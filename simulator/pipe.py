"""The bandwidth limit of the gateway, which requests and responses share. Traffic above the limit is delayed."""

import asyncio
import time
from collections.abc import Callable

from simulator.counters import Counters

# The time for which an idle pipe saves unused bandwidth. Azure's value is not known. This value is so short that the
# mean over several seconds hardly exceeds the limit.
SAVED_S = 0.05
# The size of a piece of a body. A piece is counted before its delay, so the counters include one unsent piece for each
# waiting connection.
PIECE = 16 * 1024
SLOW_PIECES = 50


class Pipe:
    """A token bucket that may go into debt: a sender waits until the debt is paid.

    If `bytes_per_s` is None, there is no limit. It may be changed at run time. Only bodies are counted.
    """

    def __init__(self, bytes_per_s: float | None, counters: Counters) -> None:
        self.bytes_per_s = bytes_per_s
        self._counters = counters
        self._paid_at = 0.0

    def delay(self, size: int) -> float:
        """Return the seconds that `size` bytes must wait if they pass now."""
        now = time.monotonic()
        self._counters.traffic.add(size, now)
        if self.bytes_per_s is None:
            return 0.0
        self._paid_at = max(self._paid_at, now - SAVED_S) + size / self.bytes_per_s
        waits = max(self._paid_at - now, 0.0)
        self._counters.delay_seconds += waits
        return waits

    def piece(self) -> int:
        """Return how many bytes to read or write at once for a smooth flow, or 0 if there is no limit."""
        return 0 if self.bytes_per_s is None else int(min(max(self.bytes_per_s * SAVED_S, 1024), PIECE))

    async def pour(self, body: bytes, drip_s: float, write: Callable[[bytes | memoryview], None]) -> None:
        """Write the body as fast as the limit and `drip_s`, the shortest time for the whole body, allow."""
        piece = self.piece()
        if drip_s:
            piece = min(piece or len(body), len(body) // SLOW_PIECES + 1)
        whole, sent = memoryview(body), 0
        while sent < len(body):
            part = whole[sent : sent + piece] if piece else body
            await asyncio.sleep(self.delay(len(part)) + drip_s * len(part) / len(body))
            self._counters.bytes_out += len(part)
            write(part)
            sent += len(part)
