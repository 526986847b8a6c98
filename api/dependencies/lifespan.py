"""The lifespan of the API. Redis is checked at startup, and waiting requests and event streams end at shutdown."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from api.dependencies import in_thread
from api.dependencies.change_listener import ChangeListener
from api.dependencies.end_listener import JobEndListener
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import Ledger
from maskrelay.ledger.durability_check import warn_of_forgetting

#: If Redis does not respond, the check is repeated after this many seconds.
_AGAIN_S = 5.0


@asynccontextmanager
async def living(ledger: Ledger, ends: JobEndListener, changes: ChangeListener) -> AsyncIterator[None]:
    """Run the background work of the API until the block ends."""
    looking = asyncio.create_task(_check_redis(ledger))

    def close() -> None:
        ends.close()
        changes.close()

    with _told_to_end(close):
        yield
    looking.cancel()


async def _check_redis(ledger: Ledger) -> None:
    """Log a warning if Redis is configured so that it may lose data. Startup does not wait for this check."""
    while True:
        try:
            await in_thread(warn_of_forgetting, ledger.scripts)
            return
        except LedgerUnavailable:
            await asyncio.sleep(_AGAIN_S)


@contextmanager
def _told_to_end(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on the event loop when SIGTERM or SIGINT arrives, in addition to the server's own handler.

    The end of the lifespan would be too late for the call. The server first waits until all requests have ended. When
    its grace period is over, it ends the remaining requests with 500, and only then does the lifespan end.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
