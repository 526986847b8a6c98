"""Processing of arrays in bands of rows, so temporary memory does not grow with the size of the image."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

#: The default number of values in a band. It is small enough for most processor caches, and large enough that the time
#: for one more function call in each band is negligible.
AT_ONCE = 1 << 20


def bands(shape: tuple[int, ...], most: int | None = None) -> Iterator[slice]:
    """Yield ranges of rows that divide an array of this shape into bands of at most `most` values.

    If a single row has more than `most` values, each band is one row.
    """
    rows = max(1, (most or AT_ONCE) // max(1, prod(shape[1:])))
    for first in range(0, shape[0], rows):
        yield slice(first, min(first + rows, shape[0]))


def in_bands(values: npt.NDArray[Any], change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Apply `change` to each band of rows, and return the results as one array.

    `change` must return as many rows as it receives.
    """
    whole: npt.NDArray[Any] | None = None
    for rows in bands(values.shape):
        changed = change(values[rows])
        if len(changed) == len(values):
            return changed
        if whole is None:
            whole = np.empty((len(values), *changed.shape[1:]), changed.dtype)
        whole[rows] = changed
    return change(values) if whole is None else whole
