"""The end of a job without a result: the object is what counts, and deleting it lets the job go on."""

from contextlib import suppress

from maskrelay.contract import keys
from maskrelay.contract.halts import Halt
from maskrelay.errors import ObjectExists, ObjectMissing
from maskrelay.storage.protocol import Storage


def halt_of(storage: Storage, job: str) -> Halt | None:
    """Why the job ended without a result; None for any other job."""
    try:
        return Halt.model_validate_json(storage.get(keys.halted(job)))
    except ObjectMissing:
        return None


def write_halt(storage: Storage, job: str, halt: Halt) -> None:
    """From its return on the job has ended, whatever fails later. The first halt stays. Safe to repeat."""
    with suppress(ObjectExists):
        storage.create(keys.halted(job), halt.model_dump_json().encode(), "application/json")
