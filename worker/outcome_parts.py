"""Write outcomes as one object and settle them: an outcome is durable before it counts."""

import contextlib
from collections.abc import Mapping, Sequence

from maskrelay.contract import keys
from maskrelay.contract.outcomes import Outcome
from maskrelay.errors import ObjectExists
from maskrelay.ledger.claims import Claims, Settlement
from maskrelay.storage.protocol import Storage
from worker.artifacts import Recorded, pack

Held = tuple[str, Recorded]


def part_name(at_ms: float, worker: str, written: int) -> str:
    """Return the name of a part. Names sort by time.

    at_ms: Redis' clock. worker: 8 hex digits. written: a serial number of the worker. Raises ValueError for a number
    that does not fit.
    """
    return keys.outcome_part_name(round(at_ms), worker, written)


def write_part(storage: Storage, claims: Claims, job: str, part: str, held: Sequence[Held]) -> set[int]:
    """Write one part and settle its outcomes, each under the token that holds its frame; return the frames that count.

    Safe to repeat under the same name: a name belongs to one group of one worker. If a line is refused, its job is
    marked for the removal of superseded attempts.
    """
    store_part(storage, job, part, held)
    return settle_part(storage, claims, job, part, held, {})


def store_part(storage: Storage, job: str, part: str, held: Sequence[Held]) -> None:
    """Write one part. Files that are not stored yet are written first, into one pack."""
    outcomes = _packed(storage, job, part, [recorded for _, recorded in held])
    body = b"".join(outcome.model_dump_json(exclude_none=True).encode() + b"\n" for outcome in outcomes)
    with contextlib.suppress(ObjectExists):
        storage.create(keys.outcome_part(job, part), body, "application/x-ndjson")


def settle_part(
    storage: Storage, claims: Claims, job: str, part: str, held: Sequence[Held], spent: Mapping[str, int]
) -> set[int]:
    """Settle the outcomes of a stored part; return the frames that count. spent: as in `Claims.settle`.

    If a line is refused, its job is marked for the removal of superseded attempts.
    """
    lines = [Settlement(token, one.outcome.frame, one.outcome.state == "failed") for token, one in held]
    accepted = claims.settle(job, part, lines, spent)
    if len(accepted) < len(lines):
        storage.put(keys.sweeping(job), b"")
    return accepted


def _packed(storage: Storage, job: str, part: str, recorded: Sequence[Recorded]) -> list[Outcome]:
    key = keys.pack(job, part)
    body, outcomes = pack(key, recorded)
    if body:
        with contextlib.suppress(ObjectExists):
            storage.create(key, body)
    return outcomes
