"""Run lengths (RLE) of masks in the compressed text format of COCO.

The runs follow the columns from top to bottom, and the first run consists of zeros. From the fourth count on, the
difference from the count two positions before is written instead of the count. A number is divided into groups of 5
bits, the lowest group first. 0x20 is added to a group if another group follows, and then 48 is added to get a
character. Bit 0x10 of the last group is the sign. Source: `rleToString` in COCO's `maskApi.c`.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.outcomes import Rle
from maskrelay.errors import Malformed
from maskrelay.imaging.masks.mask import Mask

_GROUPS = 7  # the largest number of groups of a number; enough for the difference of any two counts below 2³³


def encode_rle(mask: Mask) -> Rle:
    """Return the run lengths of a mask over its frame."""
    return Rle(size=mask.size, counts=_text(_counts(mask)))


def _counts(mask: Mask) -> npt.NDArray[np.int64]:
    height, width = mask.size
    if not height or not width:
        return np.zeros(1, np.int64)
    firsts, lasts = _edge(mask, 0), _edge(mask, height - 1)
    start = [0, 0] if firsts[0] else [0]
    next_column = (np.flatnonzero(firsts[1:] != lasts[:-1]) + 1) * height
    changes = np.concatenate((_changes_below(mask), next_column))
    changes.sort()
    return np.diff(np.concatenate((start, changes, [height * width])))


def _edge(mask: Mask, row: int) -> npt.NDArray[np.bool_]:
    """Return a row of the frame as a (width,) bool array."""
    edge = np.zeros(mask.size[1], np.bool_)
    rows, columns = mask.window
    if rows.start <= row < rows.stop:
        edge[columns] = mask.inside[row - rows.start]
    return edge


def _changes_below(mask: Mask) -> npt.NDArray[np.int64]:
    """Return the positions where a pixel differs from the pixel above it. Positions follow the columns of the frame.

    They are found row by row, as the pixels are stored in memory, and are not sorted. Sorting them later takes less
    time than transposing the mask, because there are few such positions.
    """
    inside, (height, _), (rows, columns) = mask.inside, mask.size, mask.window
    places = np.flatnonzero(inside[1:] != inside[:-1])
    row = places // inside.shape[1]
    column = places - row * inside.shape[1]
    changes = [(column + columns.start) * height + (row + rows.start + 1)]
    if rows.start > 0:
        changes.append((np.flatnonzero(inside[0]) + columns.start) * height + rows.start)
    if rows.stop < height:
        changes.append((np.flatnonzero(inside[-1]) + columns.start) * height + rows.stop)
    return np.concatenate(changes)


def _text(counts: npt.NDArray[np.int64]) -> str:
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    written = list(_groups(numbers))
    lengths = np.zeros(numbers.size, np.int64)
    for place, _ in written:
        lengths[place] += 1
    starts = np.cumsum(lengths) - lengths
    text = np.empty(int(lengths.sum()), np.uint8)
    for turn, (place, letters) in enumerate(written):
        text[starts[place] + turn] = letters
    return text.tobytes().decode("ascii")


def _groups(numbers: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the first groups of all numbers, then the second groups, and so on. Most numbers have one or two groups.

    Each pair consists of the indices of the numbers that have such a group, and the characters of these groups.
    """
    place, rest = np.arange(numbers.size), numbers
    while rest.size:
        group, rest = rest & 0x1F, rest >> 5
        more = np.where(group & 0x10, rest != -1, rest != 0)
        yield place, group + 0x20 * more + 48
        place, rest = place[more], rest[more]


def decode_rle(rle: Rle) -> npt.NDArray[np.bool_]:
    """Return the mask as a (height, width) bool array.

    Raises Malformed if the text is not in the format of COCO, or if the counts do not add up to the size.
    """
    height, width = rle.size
    counts = _numbers(rle.counts)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    if height < 0 or width < 0 or (counts < 0).any() or counts.sum() != height * width:
        raise Malformed("The run lengths do not add up to the size of the mask.")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def _numbers(text: str) -> npt.NDArray[np.int64]:
    letters = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((letters & 0x20) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1)) if ends.size else ends
    lengths = ends - starts + 1
    whole = ends.size and ends[-1] == letters.size - 1
    if letters.size and (not whole or (letters < 0).any() or (letters > 0x3F).any() or lengths.max() > _GROUPS):
        raise Malformed("The run lengths are not in the format of COCO.")
    place = np.arange(letters.size) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((letters & 0x1F) << (5 * place), starts) if ends.size else letters
    negative = (letters[ends] & 0x10) != 0
    return np.asarray(numbers - (negative.astype(np.int64) << (5 * lengths)), np.int64)
