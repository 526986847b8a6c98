"""The index of stored scores: from the digest of a score to the location of its answer in storage.

The index only saves work. If Redis loses it, frames are scored again. What it says is checked against the stored
answer, which names its score. It takes at most a quarter of the memory limit of Redis, and nothing is added while the
memory that accepted work needs is in use. Answers that are not in the index are not used again.
"""

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.part_names import pack, unpack
from maskrelay.ledger.quotas import FULL_AT
from maskrelay.ledger.scripts import CHANGES, Scripts, paged

#: The longest time for which an entry can be found. The index would otherwise grow with a long lifetime of results.
LONGEST_LIFE = timedelta(days=30)
_IN_PACK, _LOOSE = b"p", b"l"
_PACKED = struct.Struct(">26s14sII")
_ALONE = struct.Struct(">26sII4sHI")


@dataclass(frozen=True, slots=True)
class Location:
    """The `length` bytes that begin at `offset` in the object `key`."""

    key: str
    offset: int
    length: int


class ScoreIndex:
    """The index, and the marks of scores in progress. `find` and `keep` raise LedgerUnavailable.

    `lifetime` is how long a job is kept after it has ended, and its answers with it. An entry belongs to a generation,
    which is half as long, and can be found until the end of the next one.
    """

    def __init__(self, scripts: Scripts, lifetime: timedelta) -> None:
        self._scripts = scripts
        self._generation_ms = max(1, min(lifetime, LONGEST_LIFE) // timedelta(milliseconds=2))

    def find(self, digest: bytes, token: str, lease: timedelta) -> Location | Literal["ours", "begun"]:
        """Return where the answer of a score is stored.

        If it is not stored, return `ours` if the caller should score it now, or `begun` if another frame does. The
        caller's mark ends after `lease`, unless `keep` or `give_up` ends it earlier.
        """
        lease_ms = lease // timedelta(milliseconds=1)
        found = self._scripts.run("find_score", digest, self._generation_ms, token, lease_ms)
        if isinstance(found, bytes):
            return _read(found)
        return "ours" if found else "begun"

    def keep(self, answers: Sequence[tuple[bytes, ArtifactRef]]) -> int:
        """Enter the stored answers of scores, by their digests, and end the marks of the scores.

        Return how many were entered. The others are left out, because the index or Redis is full.
        """
        kept = 0
        for page, _ in paged(answers, CHANGES):
            if page:
                entries = [part for digest, ref in page for part in (digest, _written(ref))]
                kept += self._scripts.run("keep_scores", self._generation_ms, FULL_AT, *entries)
        return kept

    def give_up(self, digest: bytes, token: str) -> None:
        """End the mark of this caller, because it has not scored. If Redis is unavailable, the mark ends by itself."""
        with suppress(LedgerUnavailable):
            self._scripts.run("give_up_score", digest, token)


def _written(ref: ArtifactRef) -> bytes:
    """Pack a location into at most 64 bytes, the longest value that Redis stores compactly in a small hash."""
    job, place = keys.place_of_answer(ref.key)
    if isinstance(place, str):
        return _IN_PACK + _PACKED.pack(job.encode(), pack(place), ref.offset, ref.length)
    item, frame, attempt, number = place
    return _LOOSE + _ALONE.pack(job.encode(), item, frame, bytes.fromhex(attempt), number, ref.length)


def _read(packed: bytes) -> Location:
    kind, body = packed[:1], packed[1:]
    if kind == _IN_PACK:
        job, part, offset, length = _PACKED.unpack(body)
        return Location(keys.pack(job.decode(), unpack(part)), offset, length)
    job, item, frame, attempt, number, length = _ALONE.unpack(body)
    return Location(keys.score_answer(job.decode(), item, frame, number, attempt.hex()), 0, length)
