"""Lifespan of the API: check Redis at startup, and release waiting requests at shutdown."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from api.ends import Ends
from api.service import in_thread
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger import Ledger
from maskrelay.ledger.keeping import warn_of_forgetting

#: A Redis that does not answer yet is looked at later.
_AGAIN_S = 5.0


@asynccontextmanager
async def living(ledger: Ledger, ends: Ends) -> AsyncIterator[None]:
    """Meanwhile the API serves."""
    looking = asyncio.create_task(_look_at(ledger))
    with _told_to_end(ends.close):
        yield
    looking.cancel()


async def _look_at(ledger: Ledger) -> None:
    """Have it told in the log when Redis may forget; nothing waits for this."""
    while True:
        try:
            await in_thread(warn_of_forgetting, ledger.scripts)
            return
        except LedgerUnavailable:
            await asyncio.sleep(_AGAIN_S)


@contextmanager
def _told_to_end(act: Callable[[], None]) -> Iterator[None]:
    """Let `act` be called on the loop when a signal asks for the end; the server's own handler is called as well.

    The server would tell us only after the last request, and break those off that last longer than its grace, with 500.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are not this server's
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
