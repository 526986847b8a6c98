"""Outcome parts: the outcomes of several frames with their files, which are stored together and then settled."""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import PlannedFrame
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.reuse_pointers import OutcomePlace
from maskrelay.errors import ItemError, ObjectExists
from maskrelay.ledger.claims import Claims, Settled, Settlement
from maskrelay.storage.protocol import BINARY, Storage

#: The media types of files by their extension.
_TYPES = {"png": "image/png", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class RecordedPart:
    """An outcome, and those of its files that are not stored yet."""

    outcome: Outcome
    #: The content of each file, by the key with which the outcome refers to the file.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: The trace context of the span in which the outcome was produced.
    traceparent: str | None = None
    #: Whether the frame is the only one of its job.
    only: bool = False
    #: The place from which the outcome was copied, if it was.
    copied_from: OutcomePlace | None = None

    def size(self) -> int:
        return sum(map(len, self.files.values()))


def ref_of(key: str, body: bytes, content_type: str = "image/png") -> ArtifactRef:
    """Return the reference of an outcome to a file that will be stored under `key`."""
    return ArtifactRef(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest(), content_type=content_type)


def store_loose(storage: Storage, files: Mapping[str, bytes]) -> None:
    """Store each file in an object of its own. An existing object with the same key is replaced.

    The files are durable before the outcome part that names them is visible, unless this is the part of a job's only
    frame (see `store_part`).
    """
    with storage.flushed_later():
        for key, body in files.items():
            storage.put(key, body, _TYPES.get(key.rpartition(".")[2], BINARY))


def pack(key: str, recorded: Sequence[RecordedPart]) -> tuple[bytes, list[Outcome]]:
    """Concatenate all files. Return the bytes, and the outcomes with references to ranges of the object `key`."""
    places: dict[str, int] = {}
    bodies: list[bytes] = []
    size = 0
    for entry in recorded:
        for name, body in entry.files.items():
            places[name] = size
            bodies.append(body)
            size += len(body)
    return b"".join(bodies), [_moved(entry.outcome, key, places) for entry in recorded]


def _moved(outcome: Outcome, key: str, places: Mapping[str, int]) -> Outcome:
    def moved(ref: ArtifactRef | None) -> ArtifactRef | None:
        if ref is None or ref.key not in places:
            return ref
        return ref.model_copy(update={"key": key, "offset": places[ref.key]})

    masks = tuple(
        mask.model_copy(update={"mask": moved(mask.mask), "probability": moved(mask.probability)})
        for mask in outcome.masks
    )
    scores = tuple(score.model_copy(update={"answer": moved(score.answer)}) for score in outcome.scores)
    pictures = {name: moved(getattr(outcome, name)) for name in ("overlay", "preview", "thumbnail")}
    return outcome.model_copy(update={"masks": masks, "scores": scores, **pictures})


#: The token of the claim on a frame, and the outcome of this frame.
Held = tuple[str, RecordedPart]


def part_name(at_ms: float, worker: str, written: int) -> str:
    """Return the name of an outcome part. Names sort by time.

    `at_ms` is the time in milliseconds, `worker` has 8 hex digits, and `written` is the number of the part among those
    of this worker. Raises ValueError if a number is too large for its field.
    """
    return keys.outcome_part_name(round(at_ms), worker, written)


def write_part(storage: Storage, claims: Claims, job: str, part: str, held: Sequence[Held]) -> set[int]:
    """Write a part and settle its outcomes, each under the token of the claim on its frame.

    Return the frames whose outcomes the ledger has accepted. A part name is used for only one group of outcomes, so
    repeating the call does no harm. If an outcome is refused, the job gets a marker, and the cleanup later removes the
    files of superseded attempts.
    """
    store_part(storage, job, part, held)
    accepted = claims.settle(job, part, _settlements(held))
    _mark_refused(storage, job, held, accepted)
    return accepted


def store_part(storage: Storage, job: str, part: str, held: Sequence[Held]) -> list[Outcome]:
    """Write a part, and return its outcomes as they are stored.

    The files of its outcomes that are not stored yet are written first, as one object. The part of a job's only frame
    is durable when the job's result is visible, or when the store is flushed. If such a part is lost earlier, finishing
    the job finds that the frame has no outcome, and the frame is segmented again.
    """
    outcomes = _packed(storage, job, part, [recorded for _, recorded in held])
    body = b"".join(outcome.model_dump_json(exclude_none=True).encode() + b"\n" for outcome in outcomes)
    if is_only_frame(held):
        with storage.flushed_later():
            storage.put(keys.outcome_part(job, part), body, "application/x-ndjson")
        return outcomes
    with contextlib.suppress(ObjectExists):
        storage.create(keys.outcome_part(job, part), body, "application/x-ndjson")
    return outcomes


def is_only_frame(held: Sequence[Held]) -> bool:
    """Return whether the part contains nothing but the outcome of a job's only frame."""
    return all(recorded.only for _, recorded in held)


def settle_part(
    storage: Storage,
    claims: Claims,
    job: str,
    part: str,
    held: Sequence[Held],
    spent: Mapping[str, int],
    token: str,
    lease: timedelta,
) -> Settled:
    """Settle the outcomes of a stored part, as `Claims.settle_and_hold` does.

    If an outcome is refused, the job gets a marker, and the cleanup later removes the files of superseded attempts.
    """
    settled = claims.settle_and_hold(job, part, _settlements(held), spent, token, lease)
    _mark_refused(storage, job, held, settled.accepted)
    return settled


def _settlements(held: Sequence[Held]) -> list[Settlement]:
    return [Settlement(token, recorded.outcome.frame, recorded.outcome.state == "failed") for token, recorded in held]


def _mark_refused(storage: Storage, job: str, held: Sequence[Held], accepted: set[int]) -> None:
    if len(accepted) < len(held):
        storage.put(keys.sweeping(job), b"")


def _packed(storage: Storage, job: str, part: str, recorded: Sequence[RecordedPart]) -> list[Outcome]:
    key = keys.pack(job, part)
    body, outcomes = pack(key, recorded)
    if body:
        with contextlib.suppress(ObjectExists):
            storage.create(key, body)
    return outcomes


def failure_of(error: ItemError) -> Failure:
    return Failure(code=error.code, detail=error.detail)


def failed(planned: PlannedFrame, failure: Failure, attempts: int) -> Outcome:
    """Return the outcome of a frame that failed."""
    return Outcome(
        frame=planned.frame,
        item=planned.item,
        index=planned.index,
        instance=planned.instance,
        source_name=planned.source_name,
        state="failed",
        error=failure,
        attempts=attempts,
    )
