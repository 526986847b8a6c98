"""Masks of one frame that overlap, made into labels: a pixel belongs to one prompt at most."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.spans import span

Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Two masks, by their numbers, that share pixels; `both`: which ones of the window (rows, columns)."""

    numbers: tuple[int, int]
    window: Window
    both: Mask


def overlaps_of(masks: Sequence[Mask]) -> list[Overlap]:
    """Every pair of these (height, width) masks that has a pixel in common."""
    return list(_overlaps(masks)) if len(masks) > 1 else []


def labels_of(
    masks: Sequence[Mask], probabilities: Sequence[npt.NDArray[np.uint8]], overlaps: Iterable[Overlap]
) -> list[Mask | None]:
    """For each (height, width) mask what is left of it as a label; None for one that overlaps no other.

    A pixel in several masks goes to the one whose probability is highest there, of equals to the first.
    """
    labels: list[Mask | None] = [None] * len(masks)
    for overlap in overlaps:
        (first, second), window, both = overlap.numbers, overlap.window, overlap.both
        wins = probabilities[first][window] >= probabilities[second][window]
        for number, lost in ((first, both & ~wins), (second, both & wins)):
            label = labels[number]
            if label is None:
                label = labels[number] = masks[number].copy()
            label[window] &= ~lost
    return labels


def _overlaps(masks: Sequence[Mask]) -> Iterator[Overlap]:
    boxes = [_box(mask) for mask in masks]
    for first, second in combinations(range(len(masks)), 2):
        window = _common(boxes[first], boxes[second])
        if window is not None and (both := masks[first][window] & masks[second][window]).any():
            yield Overlap((first, second), window, both)


def _box(mask: Mask) -> Window:
    return span(np.logical_or.reduce(mask, axis=1)), span(np.logical_or.reduce(mask, axis=0))


def _common(one: Window, other: Window) -> Window | None:
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
