"""Records as objects in storage. An object holds one record as JSON, or several records as lines of JSON.

Each object is written once. Other programs can write to the store too, so every record is validated when it is read. An
invalid record raises RecordUnreadable, whose message quotes nothing of the object.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from pydantic import ValidationError

from maskrelay.contract.record import Record
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Result, Submission
from maskrelay.errors import ObjectExists, ObjectMissing, RecordUnreadable
from maskrelay.storage.protocol import Storage

#: The size limit of a record, in bytes. The longest possible records name 20,000 members of each of 20 zip archives.
LONGEST_BYTES = 256 << 20
#: The beginning of the record of a submission. This service creates the id and the tenant in it. Text from the caller
#: follows only after them.
_OWNER = re.compile(
    rf'\s*{{\s*"id"\s*:\s*"({keys.ID.pattern})"\s*,\s*"tenant"\s*:\s*"({keys.TENANT.pattern})"'.encode()
)
_OWNER_BYTES = 1024
R = TypeVar("R", bound=Record)


def record_body(record: Record) -> bytes:
    """Return the record as JSON. Raises RecordUnreadable if parsing the JSON would not return an equal record."""
    try:
        body = record.model_dump_json().encode()
    except ValueError:  # text with half a surrogate pair, or values that are nested too deeply
        raise RecordUnreadable from None
    if parsed(body, type(record)) != record:
        raise RecordUnreadable
    return body


def parsed(body: bytes, kind: type[R], key: str = "") -> R:
    """Parse the content of the object `key` as a record. Raises RecordUnreadable if that is not possible."""
    try:
        return kind.model_validate_json(body)
    except (ValidationError, ValueError, RecursionError):
        raise unreadable(key) from None


def unreadable(key: str) -> RecordUnreadable:
    """Return the error for the object `key`. Its detail contains only the last segment of the key."""
    return RecordUnreadable(f"The stored record {key.rsplit('/', 1)[-1]} cannot be read.", key=key)


def read_record(storage: Storage, key: str, kind: type[R]) -> R:
    """Read the object `key` as a record. Raises ObjectMissing and RecordUnreadable."""
    body = storage.get(key, 0, LONGEST_BYTES + 1)
    if len(body) > LONGEST_BYTES:
        raise unreadable(key)
    return parsed(body, kind, key)


def read_submission(storage: Storage, job: str) -> Submission:
    """Return the submission that was accepted under this id. Raises ObjectMissing and RecordUnreadable."""
    submission = read_record(storage, keys.accepted(job), Submission)
    if submission.id != job:
        raise unreadable(keys.accepted(job))
    return submission


def read_result(storage: Storage, job: str) -> Result:
    """Return the result of this job. Raises ObjectMissing and RecordUnreadable."""
    result = read_record(storage, keys.result(job), Result)
    if result.job != job:
        raise unreadable(keys.result(job))
    return result


def owner_of(storage: Storage, job: str) -> str | None:
    """Return the tenant of a job from the beginning of its record, even if the rest of the record is unreadable.

    Return None if there is no record, or if its beginning is not as this service writes it.
    """
    try:
        begun = _OWNER.match(storage.get(keys.accepted(job), 0, _OWNER_BYTES))
    except ObjectMissing:
        return None
    return begun[2].decode() if begun and begun[1].decode() == job else None


def records_body(records: Sequence[Record]) -> bytes:
    """Return the records as lines of JSON, without the fields that have their default values."""
    return "\n".join(record.model_dump_json(exclude_defaults=True) for record in records).encode()


def write_records(storage: Storage, key: str, records: Sequence[Record]) -> bool:
    """Write the records as a new object. If an object with this key exists, keep it and return False."""
    try:
        storage.create(key, records_body(records), "application/x-ndjson")
    except ObjectExists:
        return False
    return True


def read_records(storage: Storage, key: str, kind: type[R]) -> list[R]:
    """Return every record of the object. Raises ObjectMissing and RecordUnreadable."""
    return [parsed(line, kind, key) for line in storage.get(key).splitlines()]


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of an object that is read in chunks.

    The chunks of a long line are joined only once, so this takes linear time.
    """
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
