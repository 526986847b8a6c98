"""The changes of all jobs of a tenant. The id of an event is the time at which the job was read, in milliseconds."""

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from api.dependencies import Dependencies, in_thread, side_by_side
from api.dependencies.broadcast import Broadcast
from api.jobs.lookup import JobSnapshot, find_job
from api.jobs.representation import body_of, etag_of, job_shown
from api.jobs.server_sent_events import dropped, encoded
from maskrelay.errors import Gone, LedgerUnavailable, NotFound, StorageUnavailable, code_of

log = logging.getLogger(__name__)
#: The shortest time between two reads, and the longest time without one, in seconds. A notification may be lost.
_LEAST_S, _MOST_S = 0.25, 10.0
#: The number of jobs whose state is kept, newest first, and the most jobs that are read at a time.
KEPT, _PAGE = 200, 50
#: The accepted difference between the clocks of two processes, in milliseconds.
_LEEWAY_MS = 60_000
_TIME = re.compile("[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A job as it was last read."""

    etag: str
    event: bytes
    created_ms: int
    #: The time of the read in which the job had ended, or None if it has not ended.
    ended_ms: int | None


class TenantFeed:
    """The events of a tenant's jobs for all listeners in this process. An instance belongs to one event loop.

    `base` is the beginning of links.
    """

    def __init__(self, dependencies: Dependencies, tenant: str, base: str) -> None:
        self.events = Broadcast()
        #: True when the newest jobs have been read once.
        self.ready = False
        self._dependencies = dependencies
        self._tenant = tenant
        self._base = base
        self._jobs: dict[str, _Seen] = {}
        self._pending: set[str] = set()
        self._changed = asyncio.Event()
        self._read_once = asyncio.Event()

    def changed(self, job: str) -> None:
        self._pending.add(job)
        self._changed.set()

    def close(self) -> None:
        self._read_once.set()
        self.events.end()

    async def wait_ready(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._read_once.wait()

    async def run(self) -> None:
        while not self.events.ended:
            self._changed.clear()
            asked = sorted(self._pending)[:_PAGE]
            try:
                found = await in_thread(self._read, asked)
            except (LedgerUnavailable, StorageUnavailable):
                pass  # the stream goes on when they respond again
            else:
                self._pending.difference_update(asked)
                self._take(found)
                self.ready = True
                self._read_once.set()
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(_LEAST_S)
        if self._pending:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_MOST_S):
                await self._changed.wait()

    def place(self) -> str:
        """Return the id of an event that is sent now."""
        return str(_now_ms())

    def snapshot(self, resumed: str | None) -> Iterator[bytes]:
        """Yield the events of the unfinished jobs, and of those that have ended since the event `resumed`."""
        since = None
        if resumed is not None:
            if not _TIME.fullmatch(resumed):
                yield dropped(self.place(), "unknown_id")
            else:
                since = int(resumed) - _LEEWAY_MS
                if len(self._jobs) >= KEPT and min(seen.created_ms for seen in self._jobs.values()) > since:
                    yield dropped(self.place(), "too_old")
        for seen in tuple(self._jobs.values()):  # they may change while a listener reads slowly
            if seen.ended_ms is None or (since is not None and seen.ended_ms >= since):
                yield seen.event

    def _read(self, asked: Sequence[str]) -> dict[str, _Seen | None]:
        """Read these jobs or, if there are none, the newest jobs that had not ended when they were last read."""
        ids = asked or [
            job
            for job, _ in self._dependencies.ledger.jobs.listed(self._tenant, None, KEPT)
            if job not in self._jobs or self._jobs[job].ended_ms is None
        ]
        return dict(zip(ids, side_by_side(self._seen, ids), strict=True))

    def _seen(self, job: str) -> _Seen | None:
        """Return the state of a job, or None if it was deleted. A job whose record cannot be used is left as it was."""
        try:
            known = find_job(self._dependencies, self._tenant, job)
            return self._shown(known)
        except (NotFound, Gone):
            return None
        except (LedgerUnavailable, StorageUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - a stored record may contain anything
            log.error("left out of the events", extra={"job_id": job, "code": code_of(error)})  # noqa: TRY400
            return self._jobs.get(job)

    def _shown(self, known: JobSnapshot) -> _Seen:
        created, at = round(known.submission.created_at.timestamp() * 1000), _now_ms()
        finished = known.result.finished_at if known.result else known.record.finished_at if known.record else None
        ended = round(finished.timestamp() * 1000) if finished is not None else at
        event = encoded("job", str(at), body_of(job_shown(known, self._base)))
        return _Seen(etag_of(known), event, created, ended if known.terminal else None)

    def _take(self, found: dict[str, _Seen | None]) -> None:
        """Keep what was read, and send an event for each job that has changed."""
        for job, seen in found.items():
            before = self._jobs.pop(job, None)
            if seen is None:
                if before is not None:
                    self.events.add(encoded("gone", self.place(), {"id": job}))
                continue
            self._jobs[job] = seen
            if before is None or before.etag != seen.etag:
                self.events.add(seen.event)
        newest = sorted(self._jobs, key=lambda job: self._jobs[job].created_ms)[-KEPT:]
        self._jobs = {job: self._jobs[job] for job in newest}


def _now_ms() -> int:
    return round(time.time() * 1000)
