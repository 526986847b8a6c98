"""Process arrays in bands of rows, so that temporary memory does not grow with the size of the image."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

#: Values of a band where nobody asks for another number: below the caches of most machines, above a call's own cost.
AT_ONCE = 1 << 20


def bands(shape: tuple[int, ...], most: int | None = None) -> Iterator[slice]:
    """The rows of an array of this shape in bands of at most `most` values; of a longer row, one row at a time."""
    rows = max(1, (most or AT_ONCE) // max(1, prod(shape[1:])))
    for first in range(0, shape[0], rows):
        yield slice(first, min(first + rows, shape[0]))


def in_bands(values: npt.NDArray[Any], change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """What `change` makes of an array, called once for each band of its rows; it must answer as many rows."""
    whole: npt.NDArray[Any] | None = None
    for rows in bands(values.shape):
        changed = change(values[rows])
        if len(changed) == len(values):
            return changed
        if whole is None:
            whole = np.empty((len(values), *changed.shape[1:]), changed.dtype)
        whole[rows] = changed
    return change(values) if whole is None else whole
