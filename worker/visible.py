"""Finds which line of which outcome part is the one visible outcome of each frame, and reads the outcomes back."""

import logging
from array import array
from collections.abc import Iterator, Sequence

from maskrelay.contract import keys
from maskrelay.contract.outcomes import Outcome, read_outcome
from maskrelay.errors import ObjectMissing
from maskrelay.rules.suspicion import Sizes
from maskrelay.rules.visible_line import VisibleLines
from maskrelay.storage.protocol import Storage
from worker.ahead import ahead
from worker.line_spool import FILE_BYTES, NOWHERE, LineSpool
from worker.submissions import Kept

log = logging.getLogger(__name__)
#: Parts whose lines were not put aside are read again, and as many bytes of them are kept.
_KEPT_BYTES = 64 << 20


class Visible:
    """The visible line of every frame of a job, found by reading each part once; some 21 bytes a frame.

    The lines are put aside in a spool, so that `outcome` reads no part again; only lines that did not fit are read from
    their parts once more. `spool_bytes`: 0 where few outcomes will be asked for. A line that cannot be used, and a
    part that was lost, count for nothing. Raises StorageUnavailable.
    """

    def __init__(
        self,
        storage: Storage,
        job: str,
        frames: int,
        listed: Sequence[tuple[str, frozenset[int]]],
        *,
        spool_bytes: int = FILE_BYTES,
    ) -> None:
        self._storage = storage
        self._job = job
        self._lines = VisibleLines(frames)
        self._part = array("i", [NOWHERE]) * frames
        self._line = array("i", [NOWHERE]) * frames
        self._place = array("q", [NOWHERE]) * frames
        self._length = array("i", [0]) * frames
        self._spool = LineSpool(spool_bytes)
        self._again = Kept[int, list[bytes]](self._read, most=_KEPT_BYTES, weigh=_weight)
        self.lines_read = 0
        #: How large each prompt's masks are, over the whole job.
        self.sizes = Sizes()
        self._unusable = self._lost = 0
        self._refused = dict(listed)
        self._names = [*self._refused, *self._unlisted()]
        for number, lines in enumerate(ahead(self._read, range(len(self._names)))):
            self._add(number, lines)
        if self._unusable or self._lost:
            counts = {"lines": self._unusable, "parts": self._lost}
            log.warning("outcomes that cannot be used count for nothing", extra={"job_id": job, **counts})

    def _unlisted(self) -> list[str]:
        names = map(keys.part_of, self._storage.list(keys.outcomes(self._job)))
        return [name for name in names if name not in self._refused and keys.PART.fullmatch(name)]

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
        """The parts that hold the visible line of some frame."""
        return [self._names[number] for number in sorted(set(self._part) - {NOWHERE})]

    def missing(self) -> list[int]:
        """The frames that have no line anywhere."""
        return [frame for frame, part in enumerate(self._part) if part == NOWHERE]

    def outcome(self, frame: int) -> Outcome | None:
        """The frame's visible outcome, read back."""
        if not self._lines.decided(frame):
            return None
        if self._place[frame] != NOWHERE:
            return Outcome.model_validate_json(self._spool.read(self._place[frame], self._length[frame]))
        lines = self._again(self._part[frame])
        if self._line[frame] >= len(lines):
            raise ObjectMissing
        return Outcome.model_validate_json(lines[self._line[frame]])

    def lines_of(self, name: str) -> list[tuple[int, bool, bool]]:
        """The usable lines of a part: the frame, whether it failed, and whether the line is the frame's visible one."""
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
        """Give the spool back."""
        self._spool.close()


def _weight(lines: list[bytes]) -> int:
    return sum(len(line) + 64 for line in lines)
