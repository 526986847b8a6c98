"""Long polling (RFC 7240 `wait`).

A request waits for the announcement of a job's end, and checks the state from time to time.
"""

import asyncio
import time
from contextlib import suppress

from starlette.requests import Request

from api.dependencies import Dependencies, dependencies_of, in_thread
from maskrelay.errors import LedgerUnavailable
from maskrelay.rules.lifecycle import is_terminal

#: The pauses between checks, in seconds. If an announcement is lost, the response is late by the longest pause at most.
_FIRST_PAUSE_S, _FACTOR, _LONGEST_PAUSE_S = 0.25, 4, 2.0


async def until_ended(request: Request, job: str, seconds: int, *, is_new: bool = False) -> None:
    """Wait until the job is terminal, the time is over, the caller has disconnected, or this process shuts down.

    The state of a job that was accepted just now (`is_new`) is not checked at once. An outage of the ledger does not
    end the wait.
    """
    dependencies = dependencies_of(request)
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_S
    with dependencies.ends.of(job) as ended:
        if not is_new and await _has_ended(dependencies, job):
            return
        while not dependencies.ends.closed and (left := deadline - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(pause, left)):
                    await ended.wait()
            if ended.is_set() or await request.is_disconnected() or await _has_ended(dependencies, job):
                return
            pause = min(pause * _FACTOR, _LONGEST_PAUSE_S)


async def _has_ended(dependencies: Dependencies, job: str) -> bool:
    with suppress(LedgerUnavailable):
        record = await in_thread(dependencies.ledger.jobs.get, job)
        return record is not None and is_terminal(record.state)
    return False
