"""Long polls (RFC 7240 `wait`): the ledger is asked now and then; no thread is held meanwhile."""

import time
from contextlib import suppress

import anyio

from api.service import Service, in_thread
from maskrelay.errors import LedgerUnavailable
from maskrelay.rules.lifecycle import is_terminal

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.25


async def until_ended(service: Service, job: str, seconds: int) -> None:
    """Return when the job is terminal or the time is over, whichever is first; the ledger may be away meanwhile."""
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_S
    while (left := deadline - time.monotonic()) > 0:
        with suppress(LedgerUnavailable):
            record = await in_thread(service.ledger.jobs.get, job)
            if record is not None and is_terminal(record.state):
                return
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
