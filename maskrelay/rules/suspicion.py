"""Flags for suspicious masks that need the whole job: size outliers and neighbours that disagree; and the order for
review.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Self

from maskrelay.contract.lines import ItemLine
from maskrelay.contract.outcomes import MaskOutcome, Outcome

SIZE_OUTLIER = "size_outlier"
NEIGHBOURS_DISAGREE = "neighbours_disagree"

#: Fewer masks of a prompt than this say nothing about what is usual.
FEWEST = 20
#: Robust z-score beyond which a size is one.
FAR = 4.0
#: The median absolute deviation of a normal distribution is its standard deviation divided by this (Iglewicz, Hoaglin).
_MAD_OF_NORMAL = 1.4826
#: Sizes that differ by less than so much of their logarithm are alike, however alike all the others are.
_LEAST_SPREAD = 0.1
#: A mask alone between empty neighbours counts from this area on, in pixels.
FLOOR_PX = 64
#: How little boxes of neighbours may share, and how much their areas may differ, before they disagree.
LEAST_SHARED, MOST_TIMES = 0.1, 4.0
#: A flag that tells of a mistake weighs more than one that tells of a picture.
_WEIGHTS = {
    "geometry_check": 8.0,
    "too_thin": 8.0,
    "full_frame": 4.0,
    "category_at_odds": 3.0,
    NEIGHBOURS_DISAGREE: 3.0,
    SIZE_OUTLIER: 2.0,
    "max_le_1": 2.0,
    "many_fragments": 1.5,
    "empty": 1.0,
    "overlaps": 0.5,
    "touches_border": 0.5,
}


class Sizes:
    """How large each prompt's masks are over a job, as shares of their frames; 8 bytes a mask."""

    def __init__(self) -> None:
        self._logs: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._usual: dict[str, tuple[float, float]] = {}

    @classmethod
    def of_state(cls, state: Iterable[tuple[str, bytes]]) -> Self:
        """As they were when `state` was taken."""
        sizes = cls()
        for prompt, logs in state:
            sizes._logs[prompt] = array("d", logs)
        return sizes

    def state(self) -> list[tuple[str, bytes]]:
        """Everything that was added, by prompt."""
        return [(prompt, logs.tobytes()) for prompt, logs in self._logs.items()]

    def add(self, prompt: str, share: float) -> None:
        """An empty mask does not count."""
        if share > 0:
            self._logs[prompt].append(math.log(share))
            self._usual.pop(prompt, None)

    def outlier(self, prompt: str, share: float) -> float:
        """The robust z-score of this size among the prompt's, by median and median absolute deviation of logarithms.

        0 for an empty mask and where fewer than FEWEST masks are known.
        """
        logs = self._logs.get(prompt)
        if logs is None or len(logs) < FEWEST or share <= 0:
            return 0.0
        if prompt not in self._usual:
            middle = median(logs)
            spread = _MAD_OF_NORMAL * median(abs(one - middle) for one in logs)
            self._usual[prompt] = middle, max(spread, _LEAST_SPREAD)
        middle, spread = self._usual[prompt]
        return (math.log(share) - middle) / spread


def judged(line: ItemLine, sizes: Sizes) -> ItemLine:
    """The item with the flags that only the whole job, and its neighbours, can tell; and its suspicion."""
    outcomes = [_sized(outcome, sizes) for outcome in line.outcomes]
    for prompt in range(max((len(outcome.masks) for outcome in outcomes), default=0)):
        slices = [outcome.masks[prompt] if prompt < len(outcome.masks) else None for outcome in outcomes]
        for place in neighbours_disagree(slices):
            outcomes[place] = _flagged(outcomes[place], prompt, NEIGHBOURS_DISAGREE)
    suspicion = max((_suspicion(mask, sizes) for outcome in outcomes for mask in outcome.masks), default=0.0)
    return line.model_copy(update={"outcomes": tuple(outcomes), "suspicion": round(suspicion, 3)})


def neighbours_disagree(slices: Sequence[MaskOutcome | None]) -> list[int]:
    """The places whose mask fits neither neighbour; None: a frame that failed, which says nothing.

    Empty between two that are not; not empty, from FLOOR_PX on, between two that are; or, all being there, sharing
    less than LEAST_SHARED of the boxes, or differing in area by more than MOST_TIMES, with both.
    """
    return [
        place
        for place in range(1, len(slices) - 1)
        if (one := slices[place]) and (before := slices[place - 1]) and (after := slices[place + 1])
        if _disagrees(one, before, after)
    ]


def _disagrees(one: MaskOutcome, before: MaskOutcome, after: MaskOutcome) -> bool:
    if before.empty and after.empty:
        return one.area_px >= FLOOR_PX
    if before.empty or after.empty:
        return False
    if one.empty:
        return True
    return all(_apart(one, other) for other in (before, after))


def _apart(one: MaskOutcome, other: MaskOutcome) -> bool:
    times = max(one.area_px, other.area_px) / min(one.area_px, other.area_px)
    return times > MOST_TIMES or _shared(one, other) < LEAST_SHARED


def _shared(one: MaskOutcome, other: MaskOutcome) -> float:
    """Intersection over union of the bounding boxes."""
    assert one.bbox is not None
    assert other.bbox is not None
    (x, y, width, height), (u, v, across, down) = one.bbox, other.bbox
    wide = min(x + width, u + across) - max(x, u)
    high = min(y + height, v + down) - max(y, v)
    both = max(0, wide) * max(0, high)
    return both / (width * height + across * down - both)


def _share(mask: MaskOutcome) -> float:
    height, width = mask.rle.size
    return mask.area_px / (height * width)


def _sized(outcome: Outcome, sizes: Sizes) -> Outcome:
    far = [number for number, mask in enumerate(outcome.masks) if abs(sizes.outlier(mask.prompt, _share(mask))) > FAR]
    for number in far:
        outcome = _flagged(outcome, number, SIZE_OUTLIER)
    return outcome


def _flagged(outcome: Outcome, prompt: int, flag: str) -> Outcome:
    masks = list(outcome.masks)
    masks[prompt] = masks[prompt].model_copy(update={"flags": (*masks[prompt].flags, flag)})
    return outcome.model_copy(update={"masks": tuple(masks)})


def _suspicion(mask: MaskOutcome, sizes: Sizes) -> float:
    """The weights of the mask's flags together; of two alike, the one whose size is stranger comes first."""
    strange = abs(sizes.outlier(mask.prompt, _share(mask)))
    return sum(_WEIGHTS.get(flag, 1.0) for flag in mask.flags) + strange / (1 + strange)
