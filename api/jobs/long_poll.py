"""Long polling (RFC 7240 `wait`).

A request waits for the announcement of a job's end, and checks the state from time to time.
"""

import asyncio
import time
from contextlib import suppress

from api.dependencies import Dependencies, in_thread
from maskrelay.errors import LedgerUnavailable
from maskrelay.rules.lifecycle import is_terminal

#: The pauses between checks, in seconds. If an announcement is lost, the response is late by the longest pause at most.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0


async def until_ended(dependencies: Dependencies, job: str, seconds: int) -> None:
    """Wait until the job is terminal, the time is over, or this process shuts down.

    An outage of the ledger does not end the wait.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_S
    with dependencies.ends.of(job) as ended:
        while not dependencies.ends.closed and (left := deadline - time.monotonic()) > 0:
            with suppress(LedgerUnavailable):
                record = await in_thread(dependencies.ledger.jobs.get, job)
                if record is not None and is_terminal(record.state):
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await ended.wait()
            ended.clear()
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
