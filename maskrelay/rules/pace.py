"""The number of frames that a segment child process keeps in progress. The endpoint should never wait for a frame."""

import math
from dataclasses import dataclass

from maskrelay.rules.lanes import BULK_SHARE
from maskrelay.settings import LEAST_HANDS

#: The largest number of frames in progress. With more, the additional work for leases and in the event loop would
#: outweigh the gain.
MOST_HANDS = 256
#: The memory limit for the requests and responses of all frames in progress, in bytes.
MOST_BYTES = 512 << 20
#: Two reserves. The number of frames is multiplied by the first number, because the times of stages vary. Then the
#: second number is added, for frames that wait for admission.
_SPARE, _AT_THE_DOOR = 1.25, 4
#: The upper bound of the ratio between the time of the other stages and the time of a score. A higher ratio means that
#: frames wait for the processors and not for the endpoint. More frames in progress would then only slow down each
#: frame, and so increase the ratio further.
_LONGEST_RATIO = 3.0
#: The weight of the newest frame in the moving averages.
_WEIGHT = 0.05


@dataclass(slots=True)
class Pace:
    """Moving averages over the frames of a segment child process."""

    #: The seconds that one request takes, without the wait for its admission.
    scoring: float | None = None
    #: The seconds that all other stages of a frame take in the worker.
    working: float | None = None
    #: The memory that a frame's request and response take, in bytes.
    bytes: float = 0.0

    def note(self, *, scoring: float, working: float, bytes: float) -> None:  # noqa: A002  it is a number of bytes
        """Add the times (in seconds) and the memory (in bytes) of a frame that was processed successfully."""
        self.scoring = _mean(self.scoring, scoring)
        self.working = _mean(self.working, working)
        self.bytes = _mean(self.bytes or None, bytes)

    def hands(self, slots: int) -> int:
        """Return how many frames to keep in progress if `slots` frames can be scored at once.

        The number follows from Little's law: while `slots` frames are being scored, `working / scoring` times as many
        frames are in the other stages. Reserves are added (`_SPARE` and `_AT_THE_DOOR`), and the number is increased
        further, because bulk frames get only a share of it. The result does not exceed MOST_HANDS or the memory limit
        for requests and responses, but it is at least LEAST_HANDS.
        """
        ratio = 0.5
        if self.working is not None and self.scoring is not None:
            ratio = min(self.working / max(self.scoring, 1e-3), _LONGEST_RATIO)
        wanted = (slots * (1 + ratio) * _SPARE + _AT_THE_DOOR) / BULK_SHARE
        bearable = MOST_BYTES / self.bytes if self.bytes else MOST_HANDS
        return max(LEAST_HANDS, math.ceil(min(wanted, bearable, MOST_HANDS)))


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + (now - before) * _WEIGHT
