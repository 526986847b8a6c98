"""How many frames a child keeps in progress, so that the endpoint never waits for a frame."""

import math
from dataclasses import dataclass

from maskrelay.rules.lanes import BULK_SHARE
from maskrelay.settings import LEAST_HANDS

#: Beyond this the ledger's leases and the loop's own work cost more than another frame could bring.
MOST_HANDS = 256
#: What the requests and answers of the frames in hand may take together.
MOST_BYTES = 512 << 20
#: More in hand than the mean of the stages asks for, since their times vary; and some that wait at the endpoint's door.
_SPARE, _AT_THE_DOOR = 1.25, 4
#: Times as long as a score that the other stages count at most. Beyond it frames wait for the processors and not for
#: the endpoint: more of them in progress would each take longer, which would ask for more still.
_LONGEST_RATIO = 3.0
#: The weight of one frame in what is known of the frames before it.
_WEIGHT = 0.05


@dataclass(slots=True)
class Pace:
    """Moving averages over a child's frames, in seconds and bytes.

    scoring: one request, without the wait for its admission. working: everything else that keeps a hand. bytes: of the
    frame's request and answer.
    """

    scoring: float | None = None
    working: float | None = None
    bytes: float = 0.0

    def note(self, *, scoring: float, working: float, bytes: float) -> None:  # noqa: A002  it is what it is
        """Take in a frame that was scored and drawn."""
        self.scoring = _mean(self.scoring, scoring)
        self.working = _mean(self.working, working)
        self.bytes = _mean(self.bytes or None, bytes)

    def hands(self, slots: int) -> int:
        """Frames to have in hand where `slots` frames can be scored at once.

        Little's law: so many are scored, and while one is, others take `working` for each `scoring`. Bulk frames get
        a part of the hands alone. Never more than the memory for requests and answers allows.
        """
        ratio = 0.5
        if self.working is not None and self.scoring is not None:
            ratio = min(self.working / max(self.scoring, 1e-3), _LONGEST_RATIO)
        wanted = (slots * (1 + ratio) * _SPARE + _AT_THE_DOOR) / BULK_SHARE
        bearable = MOST_BYTES / self.bytes if self.bytes else MOST_HANDS
        return max(LEAST_HANDS, math.ceil(min(wanted, bearable, MOST_HANDS)))


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + (now - before) * _WEIGHT
