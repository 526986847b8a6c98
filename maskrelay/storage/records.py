"""Records as objects in storage: one as JSON, or several as lines of JSON. They are written once, and read as a whole
or as a stream.

Whoever wrote an object, reading it returns a record or raises RecordUnreadable, whose message quotes nothing of it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TypeVar

from pydantic import ValidationError

from maskrelay.contract import keys
from maskrelay.contract.jobs import Item, Result, Submission
from maskrelay.contract.outcomes import Record
from maskrelay.errors import ObjectExists, ObjectMissing, RecordUnreadable
from maskrelay.storage.protocol import Storage

#: A record of one job is never longer; the longest there are name 20,000 members of each of 20 zips.
LONGEST_BYTES = 256 << 20
#: How a submission's record begins. Both values are ours: a caller's words come later.
_OWNER = re.compile(
    rf'\s*{{\s*"id"\s*:\s*"({keys.ID.pattern})"\s*,\s*"tenant"\s*:\s*"({keys.TENANT.pattern})"'.encode()
)
_OWNER_BYTES = 1024
R = TypeVar("R", bound=Record)


def record_body(record: Record) -> bytes:
    """The record as JSON; raises RecordUnreadable where reading it back would not give the same record again."""
    try:
        body = record.model_dump_json().encode()
    except ValueError:  # half a surrogate pair, or nested too deep
        raise RecordUnreadable from None
    if parsed(body, type(record)) != record:
        raise RecordUnreadable
    return body


def parsed(body: bytes, kind: type[R], key: str = "") -> R:
    """The record that these bytes of the object `key` are; raises RecordUnreadable."""
    try:
        return kind.model_validate_json(body)
    except (ValidationError, ValueError, RecursionError):
        raise unreadable(key) from None


def unreadable(key: str) -> RecordUnreadable:
    """The error for this object; its detail names the object without the job's folder."""
    return RecordUnreadable(f"The stored record {key.rsplit('/', 1)[-1]} cannot be read.", key=key)


def read_record(storage: Storage, key: str, kind: type[R]) -> R:
    """The record that is the object `key`; raises ObjectMissing and RecordUnreadable."""
    body = storage.get(key, 0, LONGEST_BYTES + 1)
    if len(body) > LONGEST_BYTES:
        raise unreadable(key)
    return parsed(body, kind, key)


def read_submission(storage: Storage, job: str) -> Submission:
    """What was accepted under this id; raises ObjectMissing and RecordUnreadable."""
    submission = read_record(storage, keys.accepted(job), Submission)
    if submission.id != job:
        raise unreadable(keys.accepted(job))
    return submission


def read_result(storage: Storage, job: str) -> Result:
    """What came of this job; raises ObjectMissing and RecordUnreadable."""
    result = read_record(storage, keys.result(job), Result)
    if result.job != job:
        raise unreadable(keys.result(job))
    return result


def owner_of(storage: Storage, job: str) -> str | None:
    """The tenant whose job this is, by the beginning of its record, the rest of which may be unreadable.

    None where there is no record, or where it does not begin as this service writes it.
    """
    try:
        begun = _OWNER.match(storage.get(keys.accepted(job), 0, _OWNER_BYTES))
    except ObjectMissing:
        return None
    return begun[2].decode() if begun and begun[1].decode() == job else None


def write_records(storage: Storage, key: str, records: Sequence[Record]) -> bool:
    """Whether they were written now; False: an object of this key is there already, and stands."""
    body = "\n".join(record.model_dump_json(exclude_defaults=True) for record in records).encode()
    try:
        storage.create(key, body, "application/x-ndjson")
    except ObjectExists:
        return False
    return True


def read_records(storage: Storage, key: str, kind: type[R]) -> list[R]:
    """Every record of the object; raises ObjectMissing and RecordUnreadable."""
    return [parsed(line, kind, key) for line in storage.get(key).splitlines()]


def read_items(storage: Storage, submission: Submission) -> Iterator[Item]:
    """Every submitted item in order, wherever the submission keeps them; raises ObjectMissing and RecordUnreadable."""
    if submission.items_key is None:
        yield from submission.items
        return
    with closing(storage.stream(submission.items_key)) as chunks:
        for line in lines_of(chunks):
            yield parsed(line, Item, submission.items_key)


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of an object that comes in chunks; a line of many chunks is put together once."""
    held: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        held.append(first)
        if others:
            yield b"".join(held)
            yield from others[:-1]
            held = [others[-1]]
    if rest := b"".join(held):
        yield rest
