"""Long polling (RFC 7240 `wait`): wait for the announcement of a job's end, with occasional checks and no thread."""

import asyncio
import time
from contextlib import suppress

from api.service import Service, in_thread
from maskrelay.errors import LedgerUnavailable
from maskrelay.rules.lifecycle import is_terminal

#: An announcement that is lost costs the longest pause.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0


async def until_ended(service: Service, job: str, seconds: int) -> None:
    """Return when the job is terminal, the time is over or this process is to end, whichever is first; the ledger may
    be away meanwhile.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_S
    with service.ends.of(job) as ended:
        while not service.ends.closed and (left := deadline - time.monotonic()) > 0:
            with suppress(LedgerUnavailable):
                record = await in_thread(service.ledger.jobs.get, job)
                if record is not None and is_terminal(record.state):
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await ended.wait()
            ended.clear()
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
