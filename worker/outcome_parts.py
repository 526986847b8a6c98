"""Writes outcomes as one object, then settles them: durable before it counts."""

import contextlib
from collections.abc import Sequence

from maskrelay.contract import keys
from maskrelay.contract.outcomes import Outcome
from maskrelay.errors import ObjectExists
from maskrelay.ledger.claims import Claims, Settlement
from maskrelay.storage.protocol import Storage
from worker.artifacts import Recorded, pack

Held = tuple[str, Recorded]


def part_name(at_ms: float, worker: str, written: int) -> str:
    """A part's name, in order of time: `at_ms` of Redis' clock, 8 hex digits of the worker, its running number."""
    return f"{at_ms:016.0f}-{worker}-{written:06d}"


def write_part(storage: Storage, claims: Claims, job: str, part: str, held: Sequence[Held]) -> set[int]:
    """Write one part and settle its outcomes, each under the token that holds its frame; the frames that count.

    Files that are not stored yet go before it, into one pack beside the part. Safe to repeat under the same name: a
    name belongs to one group of one worker. Where a line is refused its job is marked for the sweep of losing tries.
    """
    outcomes = _packed(storage, job, part, [recorded for _, recorded in held])
    body = b"".join(outcome.model_dump_json(exclude_none=True).encode() + b"\n" for outcome in outcomes)
    with contextlib.suppress(ObjectExists):
        storage.create(keys.outcome_part(job, part), body, "application/x-ndjson")
    tokens = [token for token, _ in held]
    lines = [
        Settlement(token, outcome.frame, outcome.state == "failed")
        for token, outcome in zip(tokens, outcomes, strict=True)
    ]
    accepted = claims.settle(job, part, lines)
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
