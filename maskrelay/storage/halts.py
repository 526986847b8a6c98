"""Halt records: jobs that ended without a result.

The object is authoritative, and deleting it lets the job continue.
"""

from contextlib import suppress

from maskrelay.contract import keys
from maskrelay.contract.halts import Halt
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_record, record_body


def halt_of(storage: Storage, job: str) -> Halt | None:
    """Return why the job ended without a result; None for any other job. Raises RecordUnreadable."""
    try:
        return read_record(storage, keys.halted(job), Halt)
    except ObjectMissing:
        return None


def write_halt(storage: Storage, job: str, halt: Halt) -> None:
    """Store the halt. From then on the job has ended, whatever fails later.

    The first halt is kept. Safe to repeat.
    """
    with suppress(ObjectExists):
        storage.create(keys.halted(job), record_body(halt), "application/json")
