"""Exact percentiles of a whole volume, computed plane by plane. The memory does not depend on the size of the volume.

Every value is mapped to a key. Keys are unsigned integers of 16, 32 or 64 bits that have the same order as the values.
A percentile follows from the keys at one or two ranks in this order. The first pass over the planes counts the keys by
their highest 16 bits. These counts show the highest 16 bits of each key that is searched for. The next pass finds the
following 16 bits of these keys: it counts only the keys with the same highest bits, by their following 16 bits. More
passes find the remaining bits. Keys of 16 bits need one pass, keys of 32 bits two passes, and keys of 64 bits four. The
first pass starts again when a plane has a wider type than the planes before it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.vocabulary.intensity_names import (
    CONSTANT,
    EVERY,
    POSITIVE,
    RANGE,
)
from maskrelay.imaging.bands import bands
from maskrelay.imaging.plane import Plane

PERCENTILES = (0.5, 99.5)

#: A function that returns a new iterator over the planes of a volume each time it is called.
Planes = Callable[[], Iterator[Plane]]

_DIGIT = 16
_BINS = 1 << _DIGIT
_Counts = npt.NDArray[np.int64]
_Type = np.dtype[Any]


def volume_window(name: str, planes: Planes) -> Window:
    """Return the window between the percentiles 0.5 and 99.5 of all planes together.

    With the name `percentile-positive` only values above 0 are used, and with `percentile-all` all values. Padding and
    values that are not finite are always left out. The percentiles are equal to those of `np.percentile` with linear
    interpolation in float64. 64-bit integers beyond 2⁵³ are rounded to the nearest float64.

    The name of the returned window is `name`, with three exceptions. It is `percentile-all` if no value is above 0,
    `min-max` if both percentiles are equal, and `constant` if all values are equal or there are none. The limits of a
    `constant` window are equal.
    """
    kind, first, below = _first_walk(planes)
    every = int(first.sum())
    if not every:
        return Window(name=CONSTANT, low=0.0, high=0.0)
    positive = name == POSITIVE and every > below
    left_out = below if positive else 0
    places = [(every - left_out - 1) * (share / 100) for share in PERCENTILES]
    ranks = {left_out + rank for place in places for rank in (math.floor(place), math.ceil(place))}
    values = _values_at({0, every - 1, *ranks}, kind, first, planes)
    low, high = (_between(values, left_out, place) for place in places)
    if low < high:
        return Window(name=POSITIVE if positive else EVERY, low=low, high=high)
    low, high = values[0], values[every - 1]
    return Window(name=RANGE if low < high else CONSTANT, low=low, high=high)


def _between(values: dict[int, float], offset: int, place: float) -> float:
    """Interpolate between two neighbouring values. As in numpy, the computation starts from the nearer value."""
    low, high = values[offset + math.floor(place)], values[offset + math.ceil(place)]
    share = place - math.floor(place)
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def _first_walk(planes: Planes, kind: _Type | None = None) -> tuple[_Type, _Counts, int]:
    """Make the first pass over all planes.

    Return the common type of their values, the number of keys for each value of the highest 16 bits, and the number of
    values that are at most 0. `kind` is a known type of values, or None. If a plane needs a wider type, the pass starts
    again with this type.
    """
    counts, below = np.zeros(_BINS, np.int64), 0
    for plane in _strips(planes()):
        wider = np.result_type(kind or np.uint8, plane.values.dtype)
        if kind is not None and wider != kind:
            return _first_walk(planes, wider)
        kind = wider
        keys = _keys(plane, kind)
        counts += _counted(keys >> _shift(kind))
        below += int(np.count_nonzero(keys <= _zero(kind)))
    return kind or np.dtype(np.uint8), counts, below


def _strips(planes: Iterator[Plane]) -> Iterator[Plane]:
    """Yield the planes as views of bands of rows, so temporary arrays do not grow with the size of a plane."""
    for plane in planes:
        for rows in bands(plane.values.shape):
            padding = None if plane.padding is None else plane.padding[rows]
            yield replace(plane, values=plane.values[rows], padding=padding)


def _values_at(ranks: set[int], kind: _Type, first: _Counts, planes: Planes) -> dict[int, float]:
    """Return the values at these ranks, counted from 0, among all values."""
    # for each rank: the highest bits of the key, as far as they are known, and how many keys with these bits precede it
    found = {rank: _narrowed(0, rank, first) for rank in ranks}
    for shift in range(_shift(kind) - _DIGIT, -1, -_DIGIT):
        counts = {start: np.zeros(_BINS, np.int64) for start, _ in found.values()}
        for plane in _strips(planes()):
            keys = _keys(plane, kind)
            starts = keys >> (shift + _DIGIT)
            for start in counts:
                counts[start] += _counted((keys[starts == start] >> shift) & (_BINS - 1))
        found = {rank: _narrowed(start, inner, counts[start]) for rank, (start, inner) in found.items()}
    return {rank: _value(key, kind) for rank, (key, _) in found.items()}


def _counted(digits: npt.NDArray[Any]) -> _Counts:
    return np.bincount(digits.astype(np.int64), minlength=_BINS)


def _narrowed(start: int, rank: int, counts: _Counts) -> tuple[int, int]:
    upto = np.cumsum(counts)
    digit = int(np.searchsorted(upto, rank, side="right"))
    return start << _DIGIT | digit, rank - int(upto[digit - 1] if digit else 0)


def _shift(kind: _Type) -> int:
    return 8 * _unsigned(kind).itemsize - _DIGIT


def _unsigned(kind: _Type) -> _Type:
    """Return the type of the keys. It has at least 16 bits."""
    return np.dtype(f"u{max(2, kind.itemsize)}")


def _keys(plane: Plane, kind: _Type) -> npt.NDArray[Any]:
    """Return the keys of the finite values in the plane, without padding and in any order."""
    values = plane.values.ravel() if plane.padding is None else plane.values[~plane.padding].ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return _ordered(values, kind)


def _ordered(values: npt.NDArray[Any], kind: _Type) -> npt.NDArray[Any]:
    unsigned = _unsigned(kind)
    bits: npt.NDArray[Any] = values.astype(np.dtype(f"{kind.kind}{unsigned.itemsize}"), copy=False).view(unsigned)
    sign = unsigned.type(1 << (8 * unsigned.itemsize - 1))
    match kind.kind:
        case "i":
            bits = bits ^ sign
        case "f":
            bits = np.where(bits & sign, ~bits, bits | sign)
    return bits


def _zero(kind: _Type) -> Any:
    """Return the key of 0."""
    return _ordered(np.zeros(1, kind), kind)[0]


def _value(key: int, kind: _Type) -> float:
    unsigned = _unsigned(kind)
    sign = 1 << (8 * unsigned.itemsize - 1)
    bits = key
    if kind.kind == "i":
        bits = key ^ sign
    elif kind.kind == "f":
        bits = key & ~sign if key & sign else ~key & (2 * sign - 1)
    return float(np.array(bits, unsigned).view(np.dtype(f"{kind.kind}{unsigned.itemsize}")))
