"""Which line of which part is a frame's one visible outcome."""

from array import array
from collections.abc import Iterator, Sequence

from maskrelay.contract import keys
from maskrelay.contract.outcomes import Outcome
from maskrelay.rules.suspicion import Sizes
from maskrelay.storage.protocol import Storage
from worker.submissions import Kept

#: No line is known for the frame.
NOWHERE = -1


class Visible:
    """Where each frame's visible line lies, found by reading the parts once; 12 bytes a frame.

    A line that the ledger's list does not refuse counts before a line of a part that is not listed: those were never
    settled. Among equals a success counts before a failure, then the first listed, or the smallest name.
    """

    def __init__(self, storage: Storage, job: str, frames: int, listed: Sequence[tuple[str, frozenset[int]]]) -> None:
        self._storage = storage
        self._job = job
        self._names: list[str] = []
        self._part = array("i", [NOWHERE]) * frames
        self._line = array("i", [NOWHERE]) * frames
        self._failed = bytearray(frames)
        self._lines = Kept[int, list[bytes]](self._read, most=8)
        self.lines_read = 0
        #: How large each prompt's masks are, over the whole job.
        self.sizes = Sizes()
        known = {name for name, _ in listed}
        for name, refused in listed:
            self._add(name, refused)
        unlisted = (keys.part_of(key) for key in storage.list(keys.outcomes(job)))
        settled = bytearray(part != NOWHERE for part in self._part)
        for name in unlisted:
            if name not in known:
                self._add(name, settled)

    def _add(self, name: str, refused: frozenset[int] | bytearray) -> None:
        number = len(self._names)
        self._names.append(name)
        for line, outcome in enumerate(self._outcomes(number)):
            self.lines_read += 1
            frame = outcome.frame
            turned_down = refused[frame] if isinstance(refused, bytearray) else frame in refused
            if turned_down or frame >= len(self._part):
                continue
            better = self._failed[frame] and outcome.state == "succeeded"
            if self._part[frame] == NOWHERE or better:
                self._part[frame], self._line[frame] = number, line
                self._failed[frame] = outcome.state != "succeeded"
                for mask in outcome.masks:
                    self.sizes.add(mask.prompt, mask.area_px / (mask.rle.size[0] * mask.rle.size[1]))

    def _read(self, number: int) -> list[bytes]:
        return self._storage.get(keys.outcome_part(self._job, self._names[number])).splitlines()

    def _outcomes(self, number: int) -> Iterator[Outcome]:
        return (Outcome.model_validate_json(line) for line in self._read(number))

    def counted(self) -> list[str]:
        """The parts that hold the visible line of some frame."""
        return [self._names[number] for number in sorted(set(self._part) - {NOWHERE})]

    def missing(self) -> list[int]:
        """The frames that have no line anywhere."""
        return [frame for frame, part in enumerate(self._part) if part == NOWHERE]

    def outcome(self, frame: int) -> Outcome | None:
        """The frame's visible outcome, read again from its part."""
        if frame >= len(self._part) or self._part[frame] == NOWHERE:
            return None
        return Outcome.model_validate_json(self._lines(self._part[frame])[self._line[frame]])

    def lines_of(self, name: str) -> list[tuple[int, bool, bool]]:
        """Every line of a part: its frame, whether it failed, and whether it is the frame's visible one."""
        number = self._names.index(name)
        return [
            (outcome.frame, outcome.state != "succeeded", (number, line) == self._place(outcome.frame))
            for line, outcome in enumerate(self._outcomes(number))
        ]

    def _place(self, frame: int) -> tuple[int, int]:
        return (self._part[frame], self._line[frame]) if frame < len(self._part) else (NOWHERE, NOWHERE)
