"""A frame's files: stored one by one, or combined with the files of other frames in one pack."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maskrelay.contract.outcomes import ArtifactRef, Outcome
from maskrelay.errors import ObjectExists
from maskrelay.storage.protocol import Storage


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome with those of its files that are not stored yet."""

    outcome: Outcome
    #: By the key with which the outcome refers to them.
    files: Mapping[str, bytes] = field(default_factory=dict)
    #: Of the span in which the outcome was produced.
    traceparent: str | None = None

    def size(self) -> int:
        return sum(map(len, self.files.values()))


def ref_of(key: str, body: bytes) -> ArtifactRef:
    """Return an outcome's reference to a file that will be stored under `key`."""
    return ArtifactRef(key=key, length=len(body), sha256=hashlib.sha256(body).hexdigest())


def store_loose(storage: Storage, files: Mapping[str, bytes]) -> None:
    """Store each file under the attempt's own name. A file that exists was written by this very attempt."""
    for key, body in files.items():
        try:
            storage.create(key, body, "image/png")
        except ObjectExists:
            storage.put(key, body, "image/png")


def pack(key: str, recorded: Sequence[Recorded]) -> tuple[bytes, list[Outcome]]:
    """Concatenate all files, and return the outcomes with references to their positions in the object `key`."""
    places: dict[str, int] = {}
    bodies: list[bytes] = []
    size = 0
    for one in recorded:
        for name, body in one.files.items():
            places[name] = size
            bodies.append(body)
            size += len(body)
    return b"".join(bodies), [_moved(one.outcome, key, places) for one in recorded]


def _moved(outcome: Outcome, key: str, places: Mapping[str, int]) -> Outcome:
    def moved(ref: ArtifactRef | None) -> ArtifactRef | None:
        if ref is None or ref.key not in places:
            return ref
        return ref.model_copy(update={"key": key, "offset": places[ref.key]})

    masks = tuple(
        mask.model_copy(update={"mask": moved(mask.mask), "probability": moved(mask.probability)})
        for mask in outcome.masks
    )
    pictures = {"overlay": moved(outcome.overlay), "thumbnail": moved(outcome.thumbnail)}
    return outcome.model_copy(update={"masks": masks, **pictures})
