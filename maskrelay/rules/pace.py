"""How many frames a child keeps in progress, so that the endpoint never waits for a frame."""

import math
from dataclasses import dataclass

from maskrelay.rules.lanes import BULK_SHARE
from maskrelay.settings import LEAST_HANDS

#: With more frames, the leases and the loop itself cost more than another frame could gain.
MOST_HANDS = 256
#: The memory limit for the requests and answers of all frames in progress.
MOST_BYTES = 512 << 20
#: A margin over the mean of the stage times, since these vary; and some frames that wait for admission.
_SPARE, _AT_THE_DOOR = 1.25, 4
#: The largest ratio of the other stages to a score that counts. Above it frames wait for the processors and not for the
#: endpoint: with more frames in progress each would take longer, which would increase the ratio further.
_LONGEST_RATIO = 3.0
#: The weight of the newest frame in the moving averages.
_WEIGHT = 0.05


@dataclass(slots=True)
class Pace:
    """Moving averages over a child's frames, in seconds and bytes."""

    #: One request, without the wait for its admission.
    scoring: float | None = None
    #: All other stages of the worker.
    working: float | None = None
    #: Of the frame's request and answer.
    bytes: float = 0.0

    def note(self, *, scoring: float, working: float, bytes: float) -> None:  # noqa: A002  it is what it is
        """Add a frame that was scored and drawn."""
        self.scoring = _mean(self.scoring, scoring)
        self.working = _mean(self.working, working)
        self.bytes = _mean(self.bytes or None, bytes)

    def hands(self, slots: int) -> int:
        """Return how many frames to keep in progress if `slots` frames can be scored at once.

        By Little's law: `slots` frames are scored, and `working / scoring` times as many are in the other stages. Bulk
        frames get only a share of the capacity. The result is limited by the memory for requests and answers.
        """
        ratio = 0.5
        if self.working is not None and self.scoring is not None:
            ratio = min(self.working / max(self.scoring, 1e-3), _LONGEST_RATIO)
        wanted = (slots * (1 + ratio) * _SPARE + _AT_THE_DOOR) / BULK_SHARE
        bearable = MOST_BYTES / self.bytes if self.bytes else MOST_HANDS
        return max(LEAST_HANDS, math.ceil(min(wanted, bearable, MOST_HANDS)))


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + (now - before) * _WEIGHT
