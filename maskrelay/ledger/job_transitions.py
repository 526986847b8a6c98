"""The job records in the ledger.

They are created when a job is accepted, changed by transitions, and concluded from the stored result.
"""

import json
import secrets
import struct
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from maskrelay.contract.records import keys
from maskrelay.contract.records.events import EVENT_TYPES, STORED_EVENT, event_id
from maskrelay.contract.records.job import (
    Frames,
    JobState,
    Lane,
    Submission,
)
from maskrelay.ledger.ledger_record import JobRecord, read_job
from maskrelay.ledger.part_names import unpack
from maskrelay.ledger.scripts import PAGE, Scripts, paged
from maskrelay.ledger.wakeups import LOST_AFTER, Task

_RECORD = "mr:job:"
_LIVE = "mr:live:"
#: The longest time for which an id is reserved (see `Jobs.begin_accepting`).
LONGEST_HOLD = timedelta(minutes=2)


class ListedJob(NamedTuple):
    """A job in its tenant's list, which is sorted by these two fields."""

    id: str
    #: The moment of creation in milliseconds. None if it is unknown.
    created_ms: int | None


class Jobs:
    """The records of jobs. Every method raises LedgerUnavailable if Redis does not respond."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def create(
        self,
        job: str,
        tenant: str,
        lane: Lane,
        total: int,
        created_at: datetime,
        *,
        size: int = 0,
        deadline: datetime | None = None,
    ) -> bool:
        """Record an accepted job and queue it for planning.

        Return False if the job already has a record. `size` is the total size of its uploads in bytes.
        """
        about = tenant, lane, total, _ms(created_at), size, "" if deadline is None else _ms(deadline)
        created, _ = self._scripts.run("create", job, *about, 0, "", 0)
        return bool(created)

    def accept(self, submission: Submission, *, frames: int = 0) -> Task | None:
        """Record a job that was just accepted. Return the task of which a loop must be woken, if any.

        `frames` is not 0 if the whole plan of the job is in storage as one part. It is then the number of the job's
        frames, each of which is an item, and they can be claimed at once. Otherwise, the job is queued for planning. A
        job that already has a record is not changed. A job that was deleted in the meantime gets no record.
        """
        deadline = "" if submission.deadline is None else _ms(submission.deadline)
        about = submission.lane, submission.total, _ms(submission.created_at), submission.size, deadline
        wake_up = secrets.token_hex(8), LOST_AFTER // timedelta(milliseconds=1)
        _, task = self._scripts.run("create", submission.id, submission.tenant, *about, frames, *wake_up)
        return task.decode() or None

    def overdue(self, most: int) -> list[str]:
        """Return at most `most` unfinished jobs whose deadline has passed, except those named to `met_deadline`."""
        return [job.decode() for job in self._scripts.run("overdue", most)]

    def met_deadline(self, job: str) -> None:
        """Remove the job from those that `overdue` returns."""
        self._scripts.ask("ZREM", "mr:deadlines", job)

    def begin_accepting(self, job: str, nonce: str, hold: timedelta) -> bool:
        """Reserve an id that is derived from an idempotency key, for the time `hold`, at most LONGEST_HOLD.

        Return False while it is reserved under another nonce.
        """
        assert hold <= LONGEST_HOLD
        held, longest = (span // timedelta(milliseconds=1) for span in (hold, LONGEST_HOLD))
        return bool(self._scripts.run("lock", f"mr:accepting:{job}", nonce, held, longest))

    def end_accepting(self, job: str, nonce: str) -> None:
        """Release the id that `begin_accepting` reserved under this nonce, if it is still reserved under it."""
        self._scripts.run("unlock", f"mr:accepting:{job}", nonce)

    def get(self, job: str) -> JobRecord | None:
        """Return the record of a job, or None if there is none."""
        known = self._scripts.run("job_record", job)
        return read_job(job, known) if known else None

    def cancel(self, job: str, reason: str) -> JobState | None:
        """Request cancellation, if the lifecycle allows it.

        Return the previous state, or None if the job has no record. If its record is created soon afterwards, because
        another request is accepting the job at this moment, it is cancelled at once.
        """
        state: bytes | None = self._scripts.run("cancel", job, reason)
        return state.decode() if state else None  # type: ignore[return-value]

    def conclude(
        self,
        job: str,
        *,
        tenant: str,
        lane: Lane,
        created_at: datetime,
        state: JobState,
        items: dict[str, int],
        frames: Frames,
        halted: str | None = None,
    ) -> int:
        """Make a job terminal in the ledger, because it has ended according to storage.

        Return 0 if the job was already terminal in the ledger, 1 if its record was changed, and 2 if it had no record
        and one was created. After 2, the caller must check whether the job was deleted in the meantime. `halted` is the
        error code if the job ended without a result.
        """
        fields: list[Any] = ["frames", frames.planned]
        fields += ["frames_succeeded", frames.succeeded, "frames_failed", frames.failed]
        fields += ["frames_cancelled", frames.cancelled]
        for name, count in items.items():
            fields += [f"items_{name}", count]
        if halted is not None:
            fields += ["halted", halted]
        arguments = (job, tenant, lane, items["total"], _ms(created_at), state, json.dumps(fields))
        return int(self._scripts.run("conclude", *arguments))

    def close_events(self, job: str) -> bool:
        """Record that every event of the job was delivered or given up. Return False if the job has no record."""
        return bool(self._scripts.run("end_reported", job))

    def forget(self, job: str, tenant: str, *, deleted: bool = False) -> bool:
        """Delete everything that the ledger contains about a deleted job.

        Return False if the job had no record. Claims on its frames become invalid. `deleted` says that a request has
        just deleted the job. A job without a record then gets none, even if another request is accepting it at this
        moment.
        """
        events = [event_id(job, event_type) for event_type in (*EVENT_TYPES, STORED_EVENT)]
        known, more = self._scripts.run("forget", job, tenant, json.dumps(events), deleted)
        while more:
            _, more = self._scripts.run("forget", job, tenant, json.dumps(events), False)
        return bool(known)

    def scan(self, place: str, most: int) -> tuple[str, list[str]]:
        """Scan about `most` further keys of the ledger.

        Return the next cursor ("0" at the end), and the jobs among these keys.
        """
        following, names = self._scripts.ask("SCAN", place, "MATCH", f"{_RECORD}*", "COUNT", most)
        jobs = (name.decode().removeprefix(_RECORD) for name in names)
        return str(following), [job for job in jobs if keys.ID.fullmatch(job)]

    def unfinished(self) -> Iterator[str]:
        """Yield every job that is unfinished according to the ledger, page by page. A job may be yielded twice."""
        for of_tenant in self._scripts.walk("SCAN", options=["MATCH", f"{_LIVE}*"]):
            yield from self._scripts.walk("SSCAN", of_tenant)

    def retire(self, job: str, lifetime: timedelta) -> str:
        """Delete the record of a job that ended longer ago than `lifetime`.

        Return `retired` if the record was deleted. Otherwise, return the reason: `ended` (too recently), `running` (not
        ended) or `unknown`. A job that has not ended is also counted again towards the quotas of its tenant.
        """
        verdict: bytes = self._scripts.run("retire", job, lifetime // timedelta(milliseconds=1))
        return verdict.decode()

    def listed(self, tenant: str, before: ListedJob | None, most: int) -> list[ListedJob]:
        """Return at most `most` of a tenant's jobs, newest first, beginning after the job `before`.

        If this job was deleted in the meantime, the list begins where the job would be. If it is unknown where that is,
        because `created_ms` is None, the list is empty.
        """
        found = self._scripts.run("listed", tenant, *(before or ("", None)), most)
        return [ListedJob(job.decode(), int(created)) for job, created in zip(found[::2], found[1::2], strict=True)]

    def list_again(self, job: str, tenant: str, created_at: datetime) -> bool:
        """Add a finished job to its tenant's list again. Return False if it is already listed."""
        return bool(self._scripts.ask("ZADD", f"mr:tenant:{tenant}", "NX", _ms(created_at), job))

    def parts(self, job: str, start: int = 0, stop: int = -1) -> list[tuple[str, frozenset[int]]]:
        """Return the outcome parts in the order in which they were settled, each with the frames of its refused lines.

        The result contains the parts from `start` to `stop`, both inclusive. -1 stands for the last part. The list is
        read in pages. If the list is deleted in the meantime because the job ends, the result is empty.
        """
        listed: list[tuple[str, frozenset[int]]] = []
        while stop < 0 or start <= stop:
            page_end = start + PAGE - 1 if stop < 0 else min(stop, start + PAGE - 1)
            found = self._scripts.run("list_parts", job, start, page_end)
            length = found[0]
            if length < start and listed:
                return []
            listed += read_parts(found)
            start += PAGE
            if start >= length:
                break
        return listed

    def part_count(self, job: str) -> int:
        """Return the number of outcome parts of an unfinished job."""
        return int(self._scripts.ask("LLEN", f"{_RECORD}{job}:parts"))

    def part_numbers(self, job: str, ranges: Sequence[range]) -> list[list[int | None] | None]:
        """Return the number of the part that contains the outcome of each frame, for items of several frames.

        `ranges` contains the frames of each item. Parts are counted from 0. For each item, the result is a list with
        one part number for each of its frames, or None for a frame without an outcome. If all frames of an item have
        outcomes but some of the part numbers are unknown, the result for the item is None instead of a list. This
        happens if an earlier version of the software, which did not record part numbers, settled some of the frames.
        """
        found: list[list[int | None] | None] = []
        for page, _ in paged(ranges, PAGE):
            asked = json.dumps([(frames.start, len(frames)) for frames in page])
            answer = self._scripts.run("part_numbers", job, asked)
            for settled, packed, frames in zip(answer[::2], answer[1::2], page, strict=True):
                numbers = struct.unpack(f">{len(frames)}I", packed.ljust(4 * len(frames), b"\0"))
                known = all(numbers) or settled < len(frames)
                found.append([number - 1 if number else None for number in numbers] if known else None)
        return found


def read_parts(found: Sequence[Any]) -> list[tuple[str, frozenset[int]]]:
    """Read a page of the list of parts that the scripts return. Its first entry is the length of the whole list."""
    return [(unpack(name), _frames_in(refused)) for name, refused in zip(found[1::2], found[2::2], strict=True)]


def _frames_in(refused: bytes) -> frozenset[int]:
    return frozenset(map(int, refused.split(b","))) if refused else frozenset()


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
