"""The visible outcomes of a job.

Each line of an outcome part is the outcome of one frame. The parts may contain several lines for a frame, one of which
is visible.
"""

import hashlib
import json
import logging
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from maskrelay.contract.records import keys
from maskrelay.contract.records.outcomes import Outcome, read_outcome
from maskrelay.errors import ObjectMissing
from maskrelay.rules.suspicion import Sizes
from maskrelay.rules.visible_line import VisibleLines
from maskrelay.storage.protocol import Storage
from worker.context.job_records.plans import LruCache
from worker.context.line_spool import FILE_BYTES, NOWHERE, LineSpool
from worker.context.read_ahead import ahead
from worker.context.turn import ENDLESS, Turn

log = logging.getLogger(__name__)
#: The size, in bytes, of the cache of parts that are read again because their lines are not in the spool.
_KEPT_BYTES = 64 << 20


#: A function that takes `VisibleOutcomes.name`, and returns the state that an earlier attempt saved under this name, or
#: None.
Saved = Callable[[str], bytes | None]


def nothing_saved(_: str) -> None:
    """Return None, because no earlier attempt has saved anything."""


def find_visible_outcomes(
    storage: Storage,
    job: str,
    frames: int,
    listed: Sequence[tuple[str, frozenset[int]]],
    *,
    spool_bytes: int = FILE_BYTES,
    turn: Turn = ENDLESS,
    saved: Saved = nothing_saved,
) -> "VisibleOutcomes":
    """Find the visible line of every frame by reading each part once.

    `listed` contains the names of the parts that the ledger lists, each with the frames whose lines it refused. Other
    parts in storage are read too. The lines are put into a spool of limited size. For a line that did not fit,
    `outcome` reads the part again. `spool_bytes` may be 0 if only few outcomes are needed. Lost parts, and lines that
    cannot be used, are ignored. If storage is unavailable, the spool is closed and StorageUnavailable is raised.

    If `turn` is over before all parts have been read, `complete` is False for the returned object, and its `state`
    returns what another attempt needs to continue. That attempt gets this state from `saved`, which is called with
    `name`, a hash of the part names, the refused lines and the number of frames.
    """
    refused = dict(listed)
    stored = map(keys.part_of, storage.list(keys.outcomes(job)))
    unlisted = [name for name in stored if name not in refused and keys.PART.fullmatch(name)]
    visible = VisibleOutcomes(storage, job, frames, refused, unlisted, spool_bytes=spool_bytes)
    with ExitStack() as failing:
        failing.callback(visible.close)
        if (state := saved(visible.name)) is not None:
            visible.restore(state)
        visible.read(turn)
        failing.pop_all()
    return visible


class VisibleOutcomes:
    """The visible line of every frame of a job, as `find_visible_outcomes` finds it.

    An instance takes about 21 bytes of memory per frame, without the spool. `listed` contains the names of the parts
    that the ledger lists, each with the frames whose lines it refused. `unlisted` contains the names of the parts that
    only storage has.
    """

    def __init__(
        self,
        storage: Storage,
        job: str,
        frames: int,
        listed: Mapping[str, frozenset[int]],
        unlisted: Sequence[str],
        *,
        spool_bytes: int,
    ) -> None:
        self._storage = storage
        self._job = job
        self._lines = VisibleLines(frames)
        self._part = array("i", [NOWHERE]) * frames
        self._line = array("i", [NOWHERE]) * frames
        self._place = array("q", [NOWHERE]) * frames
        self._length = array("i", [0]) * frames
        self._spool = LineSpool(spool_bytes)
        self._again = LruCache[int, list[bytes]](self._read, most=_KEPT_BYTES, weigh=_weight)
        self.lines_read = 0
        #: The sizes of the masks of each prompt in the whole job.
        self.sizes = Sizes()
        self._unusable = self._lost = 0
        self._refused = listed
        self._names = [*listed, *unlisted]
        self.name = self._name(frames)
        self.parts_read = 0
        #: Whether an earlier attempt had already read every part.
        self.was_complete = False

    def _name(self, frames: int) -> str:
        """Return a hash, as 16 hex digits, of everything on which the choice of the visible lines depends."""
        digest = hashlib.sha256(f"{frames} {len(self._refused)}".encode())
        for name in self._names:
            refused = " ".join(map(str, sorted(self._refused.get(name, ()))))
            digest.update(f"\n{name} {refused}".encode())
        return digest.hexdigest()[:16]

    def read(self, turn: Turn) -> None:
        """Read the parts that were not read yet, until `turn` is over. Raises StorageUnavailable."""
        left = range(self.parts_read, len(self._names))
        for number, lines in zip(left, ahead(self._read, left), strict=True):
            self._add(number, lines)
            self.parts_read = number + 1
            if turn.is_over():
                break
        if self.complete and (self._unusable or self._lost):
            counts = {"lines": self._unusable, "parts": self._lost}
            log.warning("outcomes that cannot be used are ignored", extra={"job_id": self._job, **counts})

    @property
    def complete(self) -> bool:
        """Whether every part has been read."""
        return self.parts_read == len(self._names)

    def state(self) -> bytes:
        """Return what was found so far, compressed.

        Before compression, this is about 9 bytes per frame and 8 per mask. The lines themselves are not included.
        """
        counts = {"looked": self.parts_read, "lines": self.lines_read, "unusable": self._unusable, "lost": self._lost}
        arrays = [self._lines.ranks(), self._part.tobytes(), self._line.tobytes()]
        prompts = self.sizes.state()
        arrays += [logs for _, logs in prompts]
        head = {**counts, "prompts": [prompt for prompt, _ in prompts], "lengths": [len(content) for content in arrays]}
        return zlib.compress(json.dumps(head).encode() + b"\n" + b"".join(arrays), 1)

    def restore(self, state: bytes) -> None:
        """Restore a state that `state` returned for an instance with the same `name`."""
        head, _, rest = zlib.decompress(state).partition(b"\n")
        known, arrays, begin = json.loads(head), [], 0
        for length in known["lengths"]:
            arrays.append(rest[begin : begin + length])
            begin += length
        self.parts_read, self.lines_read = known["looked"], known["lines"]
        self._unusable, self._lost = known["unusable"], known["lost"]
        self._lines = VisibleLines.of_ranks(arrays[0])
        self._part, self._line = array("i", arrays[1]), array("i", arrays[2])
        self.sizes = Sizes.of_state(zip(known["prompts"], arrays[3:], strict=True))
        self.was_complete = self.complete

    def _add(self, number: int, lines: list[bytes]) -> None:
        name = self._names[number]
        listed, refused = name in self._refused, self._refused.get(name, frozenset())
        for line, raw in enumerate(lines):
            self.lines_read += 1
            outcome = read_outcome(raw)
            if outcome is None:
                self._unusable += 1
                continue
            frame, succeeded = outcome.frame, outcome.state == "succeeded"
            if not self._lines.offer(frame, succeeded=succeeded, refused=refused, listed=listed):
                continue
            self._part[frame], self._line[frame] = number, line
            self._place[frame], self._length[frame] = self._spool.add(raw), len(raw)
            for mask in outcome.masks:
                self.sizes.add(mask.prompt, mask.area_px / (mask.rle.size[0] * mask.rle.size[1]))

    def _read(self, number: int) -> list[bytes]:
        try:
            return self._storage.get(keys.outcome_part(self._job, self._names[number])).splitlines()
        except ObjectMissing:
            self._lost += 1
            return []

    def counted(self) -> list[str]:
        """Return the names of the parts that contain the visible line of at least one frame."""
        return [self._names[number] for number in sorted(set(self._part) - {NOWHERE})]

    def missing(self) -> list[int]:
        """Return the frames without a line in any part."""
        return [frame for frame, part in enumerate(self._part) if part == NOWHERE]

    def outcome(self, frame: int) -> Outcome | None:
        """Return the visible outcome of the frame, or None if it has none.

        Raises ObjectMissing if the part with this outcome was lost.
        """
        if not self._lines.decided(frame):
            return None
        if self._place[frame] != NOWHERE:
            return Outcome.model_validate_json(self._spool.read(self._place[frame], self._length[frame]))
        lines = self._again(self._part[frame])
        if self._line[frame] >= len(lines):
            raise ObjectMissing
        return Outcome.model_validate_json(lines[self._line[frame]])

    def lines_of(self, name: str) -> list[tuple[int, bool, bool]]:
        """Return each usable line of a part as a tuple: the frame, whether it failed, and whether the line is
        visible.
        """
        number = self._names.index(name)
        return [
            (outcome.frame, outcome.state != "succeeded", (self._part[outcome.frame], self._line[outcome.frame]) == at)
            for at, outcome in self._outcomes(number)
            if outcome.frame < len(self._part)
        ]

    def _outcomes(self, number: int) -> Iterator[tuple[tuple[int, int], Outcome]]:
        for line, raw in enumerate(self._read(number)):
            if (outcome := read_outcome(raw)) is not None:
                yield (number, line), outcome

    def close(self) -> None:
        """Close the spool."""
        self._spool.close()


def _weight(lines: list[bytes]) -> int:
    return sum(len(line) + 64 for line in lines)
