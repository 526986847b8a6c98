"""Records as the lines of one object in storage, written once."""

from collections.abc import Sequence
from typing import TypeVar

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
