"""The removal of stray objects.

These are the files, parts and final objects of superseded attempts. No record of the finished job refers to them.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial

from maskrelay.contract.records import keys
from maskrelay.contract.records.dead_letter_records import DeadLetter
from maskrelay.contract.records.job import FinalObject, Result
from maskrelay.errors import ObjectMissing
from maskrelay.storage.markers import tombstone_of
from maskrelay.storage.protocol import Storage, has
from maskrelay.storage.stored_records import (
    lines_of,
    parsed,
    read_submission,
    unreadable,
)
from maskrelay.storage.submitted_items import items_kept
from worker.cleanup.walks import delete_all, written_before
from worker.context import WorkerContext
from worker.context.job_records.conclusion import read_result

#: The pattern of a reference to an object in a record. Text from a caller cannot match the pattern, because quotes
#: within a string are escaped.
_NAMED = re.compile(rb'"key"\s*:\s*"([^"\\]+)"')
#: A number of bytes that is greater than the length of any reference.
_LONGEST = 1024


def sweep_stray_objects(context: WorkerContext, jobs: Iterable[str], now: datetime) -> int:
    """Remove the stray objects of each marked job in `jobs` that has ended. Return the number of removed objects."""
    alone = context.bad_objects.alone
    return sum(alone("losing", job, partial(_sweep, context, job, now)) or 0 for job in jobs if keys.ID.fullmatch(job))


def _sweep(context: WorkerContext, job: str, now: datetime) -> int:
    """Remove the stray objects of one job and its `sweeping/` marker. Return the number of removed objects.

    This is done when the marker is older than the visibility timeout. Every lease is shorter than this timeout, so no
    worker can write anything for the job then that would still be accepted.
    """
    storage, marker = context.storage, keys.sweeping(job)
    quiet_since = now - context.settings.visibility_timeout
    if not written_before(storage, marker, quiet_since):
        return 0
    result = read_result(context, job)
    if result is None and has(storage, keys.accepted(job)) and tombstone_of(storage, job) is None:
        return 0  # the job has not ended, so the marker is kept
    try:
        stray = list(strays(storage, result)) if result is not None else []
    except ObjectMissing:  # the job is being removed
        stray = []
    delete_all(storage, stray)
    if written_before(storage, marker, quiet_since):  # if not, the marker was written again in the meantime
        storage.delete(marker)
    return len(stray)


def strays(storage: Storage, result: Result) -> Iterator[str]:
    """Yield the objects of a finished job to which no record refers.

    Raises ObjectMissing if the job is being removed.
    """
    job = result.job
    final = result.items.key.rsplit("/", 1)[0] + "/"
    yield from _others(storage, keys.finals(job), lambda key: key.startswith(final))
    yield from storage.list(keys.unfinished(job))
    kept = items_kept(read_submission(storage, job))
    yield from _others(storage, keys.item_lists(job), lambda key: key.startswith(kept))
    if result.parts is not None:
        names = b"".join(vouched(storage, result.parts)).decode().split()
        counted = {keys.outcome_part(job, name) for name in names}
        yield from _others(storage, keys.outcomes(job), counted.__contains__)
    with closing(vouched(storage, result.items)) as chunks:
        named = named_keys(chunks)
    failed = _failed_frames(storage, result)
    yield from _others(storage, keys.packs(job), named.__contains__)
    # A stored response of the endpoint that was invalid is kept if its frame has failed.
    yield from _others(storage, keys.artifacts(job), lambda key: key in named or keys.answered_frame(key) in failed)


def named_keys(chunks: Iterable[bytes]) -> set[str]:
    """Return the key of every object to which a stream of records refers.

    Only the keys are held in memory, even if a record is very long.
    """
    named: set[str] = set()
    rest = b""
    for chunk in chunks:
        rest += chunk
        end = 0
        for found in _NAMED.finditer(rest):
            named.add(found[1].decode())
            end = found.end()
        rest = rest[max(end, len(rest) - _LONGEST) :]
    return named


def vouched(storage: Storage, final: FinalObject) -> Generator[bytes, None, None]:
    """Yield the final object in chunks.

    Raises RecordUnreadable at the end if the length or hash differs from that in the result. The caller removes the
    objects that the final object does not name, so a truncated or changed final object must not be used.
    """
    digest, length = hashlib.sha256(), 0
    for chunk in storage.stream(final.key):
        digest.update(chunk)
        length += len(chunk)
        yield chunk
    if (length, digest.hexdigest()) != (final.length, final.sha256):
        raise unreadable(final.key)


def _others(storage: Storage, prefix: str, stays: Callable[[str], bool]) -> Iterator[str]:
    return (key for key in storage.list(prefix) if not stays(key))


def _failed_frames(storage: Storage, result: Result) -> set[int | None]:
    if result.dead is None:
        return set()
    with closing(vouched(storage, result.dead)) as chunks:
        return {parsed(line, DeadLetter, result.dead.key).frame for line in lines_of(chunks)}
