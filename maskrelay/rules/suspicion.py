"""The flags of suspicious masks that depend on other masks, and the suspicion of an item.

A mask gets such a flag if its size is an outlier among the masks of the job, or if it disagrees with the masks of the
neighbouring slices. Items are ordered for a review by their suspicion.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Self

from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome

SIZE_OUTLIER = "size_outlier"
NEIGHBOURS_DISAGREE = "neighbours_disagree"

#: The smallest number of masks of a prompt for which outliers are determined.
FEWEST = 20
#: The robust z-score beyond which a size is an outlier.
FAR = 4.0
#: The ratio of the standard deviation of a normal distribution to its median absolute deviation (Iglewicz, Hoaglin).
_MAD_OF_NORMAL = 1.4826
#: The smallest spread of the logarithms of sizes. Without this limit, any size would be an outlier if all other sizes
#: were equal.
_LEAST_SPREAD = 0.1
#: The smallest area, in pixels, at which a mask between two empty neighbours is flagged.
FLOOR_PX = 64
#: Neighbours disagree if the intersection over union of their boxes is less than the first number, or if their areas
#: differ by a factor of more than the second.
LEAST_SHARED, MOST_TIMES = 0.1, 4.0
#: The weight of each flag. Flags that point to an error weigh more than flags that describe the image.
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
    """The sizes of all masks of a job by prompt, as fractions of the frame's area. Each size takes 8 bytes."""

    def __init__(self) -> None:
        self._logs: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._usual: dict[str, tuple[float, float]] = {}

    @classmethod
    def of_state(cls, state: Iterable[tuple[str, bytes]]) -> Self:
        """Return the sizes whose `state` method returned `state`."""
        sizes = cls()
        for prompt, logs in state:
            sizes._logs[prompt] = array("d", logs)
        return sizes

    def state(self) -> list[tuple[str, bytes]]:
        """Return everything that was added, as bytes for each prompt."""
        return [(prompt, logs.tobytes()) for prompt, logs in self._logs.items()]

    def add(self, prompt: str, share: float) -> None:
        """Add the size of a mask: the fraction of its frame that it covers. An empty mask is ignored."""
        if share > 0:
            self._logs[prompt].append(math.log(share))
            self._usual.pop(prompt, None)

    def outlier(self, prompt: str, share: float) -> float:
        """Return the robust z-score of a mask's size among all sizes for the same prompt.

        It is computed from the median and the median absolute deviation of the logarithms of the sizes. It is 0 for an
        empty mask, and if fewer than FEWEST masks of this prompt were added.
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
    """Return the item with its suspicion added, and with the flags that depend on the whole job or on neighbouring
    slices.
    """
    outcomes = [_sized(outcome, sizes) for outcome in line.outcomes]
    for prompt in range(max((len(outcome.masks) for outcome in outcomes), default=0)):
        slices = [outcome.masks[prompt] if prompt < len(outcome.masks) else None for outcome in outcomes]
        for place in neighbours_disagree(slices):
            outcomes[place] = _flagged(outcomes[place], prompt, NEIGHBOURS_DISAGREE)
    suspicion = max((_suspicion(mask, sizes) for outcome in outcomes for mask in outcome.masks), default=0.0)
    return line.model_copy(update={"outcomes": tuple(outcomes), "suspicion": round(suspicion, 3)})


def neighbours_disagree(slices: Sequence[MaskOutcome | None]) -> list[int]:
    """Return the indices of the masks in `slices` that disagree with their two neighbours.

    None in `slices` is a failed frame. The first and the last mask, and a mask next to a failed frame, are not
    compared. A mask disagrees in three cases:

    - The mask is empty, and both neighbours are not.
    - Both neighbours are empty, and the mask has at least FLOOR_PX pixels.
    - None of the three is empty, and the mask differs from both neighbours. It differs from a neighbour if the boxes
      overlap by less than LEAST_SHARED, or if the areas differ by a factor of more than MOST_TIMES.
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
    """Return the intersection over union of the bounding boxes."""
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
    """Return the sum of the weights of the mask's flags, plus a number below 1.

    This number is higher if the size of the mask is more unusual.
    """
    strange = abs(sizes.outlier(mask.prompt, _share(mask)))
    return sum(_WEIGHTS.get(flag, 1.0) for flag in mask.flags) + strange / (1 + strange)
