"""Records as the lines of one object in storage: written once, read as a whole or as they come."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TypeVar

from maskrelay.contract.jobs import Item, Submission
from maskrelay.contract.outcomes import Record
from maskrelay.errors import ObjectExists
from maskrelay.storage.protocol import Storage

R = TypeVar("R", bound=Record)


def write_records(storage: Storage, key: str, records: Sequence[Record]) -> bool:
    """Whether they were written now; False: an object of this key is there already, and stands."""
    body = "\n".join(record.model_dump_json(exclude_defaults=True) for record in records).encode()
    try:
        storage.create(key, body, "application/x-ndjson")
    except ObjectExists:
        return False
    return True


def read_records(storage: Storage, key: str, kind: type[R]) -> list[R]:
    """Every record of the object; raises ObjectMissing."""
    return [kind.model_validate_json(line) for line in storage.get(key).splitlines()]


def read_items(storage: Storage, submission: Submission) -> Iterator[Item]:
    """Every submitted item in order, wherever the submission keeps them; raises ObjectMissing."""
    if submission.items_key is None:
        yield from submission.items
        return
    with closing(storage.stream(submission.items_key)) as chunks:
        for line in lines_of(chunks):
            yield Item.model_validate_json(line)


def lines_of(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of an object that comes in chunks."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest
