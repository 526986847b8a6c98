"""Overlapping masks of one frame, and the labels in which each pixel belongs to at most one prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from maskrelay.imaging.masks.mask import (
    Inside,
    Mask,
    PackedMask,
    Window,
)


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Two masks that share pixels."""

    #: The numbers of the two masks.
    numbers: tuple[int, int]
    #: The intersection of their bounding boxes.
    window: Window
    #: The shared pixels within the window, as bool.
    both: Inside


def overlaps_of(masks: Sequence[Mask]) -> list[Overlap]:
    """Return every pair of masks of one frame that share a pixel."""
    overlaps: list[Overlap] = []
    for first, second in combinations(range(len(masks)), 2):
        window = _common(masks[first].window, masks[second].window)
        if window is not None and (both := masks[first].at(window)[0] & masks[second].at(window)[0]).any():
            overlaps.append(Overlap((first, second), window, both))
    return overlaps


def meetings_of(masks: Sequence[PackedMask]) -> set[tuple[int, int]]:
    """Return the numbers of every pair of packed masks of one frame that share a pixel."""
    pairs = combinations(range(len(masks)), 2)
    return {(first, second) for first, second in pairs if masks[first].meets(masks[second])}


def labels_of(masks: Sequence[Mask], overlaps: Iterable[Overlap]) -> list[Mask | None]:
    """Return the label of each mask, which is the mask without the pixels that belong to another mask.

    The label of a mask without overlaps is None. A pixel in several masks belongs to the mask with the highest
    probability there. If the probabilities are equal, it belongs to the first of these masks.
    """
    labels: list[Mask | None] = [None] * len(masks)
    for overlap in overlaps:
        (first, second), window, both = overlap.numbers, overlap.window, overlap.both
        wins = masks[first].at(window)[1] >= masks[second].at(window)[1]
        for number, lost in ((first, both & ~wins), (second, both & wins)):
            label = labels[number]
            if label is None:
                label = labels[number] = replace(masks[number], inside=masks[number].inside.copy())
            kept, _ = label.at(window)
            kept &= ~lost
    return labels


def _common(first: Window, second: Window) -> Window | None:
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
