"""Masks of one frame that overlap, made into labels: a pixel belongs to one prompt at most."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.spans import span

Mask = npt.NDArray[np.bool_]


def labels_of(masks: Sequence[Mask], probabilities: Sequence[npt.NDArray[np.uint8]]) -> list[Mask | None]:
    """For each (height, width) mask what is left of it as a label; None for one that overlaps no other.

    A pixel in several masks goes to the one whose probability is highest there, of equals to the first.
    """
    labels: list[Mask | None] = [None] * len(masks)
    if len(masks) < 2:
        return labels
    boxes = [_box(mask) for mask in masks]
    for first, second in combinations(range(len(masks)), 2):
        window = _common(boxes[first], boxes[second])
        if window is None:
            continue
        both = masks[first][window] & masks[second][window]
        if not both.any():
            continue
        wins = probabilities[first][window] >= probabilities[second][window]
        for number, lost in ((first, both & ~wins), (second, both & wins)):
            label = labels[number]
            if label is None:
                label = labels[number] = masks[number].copy()
            label[window] &= ~lost
    return labels


def _box(mask: Mask) -> tuple[slice, slice]:
    return span(np.logical_or.reduce(mask, axis=1)), span(np.logical_or.reduce(mask, axis=0))


def _common(one: tuple[slice, slice], other: tuple[slice, slice]) -> tuple[slice, slice] | None:
    rows, columns = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
