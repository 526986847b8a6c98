"""The range of the nonzero entries of an array along one axis."""

from typing import Any

import numpy as np
import numpy.typing as npt


def span(found: npt.NDArray[Any]) -> slice:
    """Return the range from the first to the last nonzero entry of a 1-D array, or `slice(0, 0)` if there is none."""
    places = np.flatnonzero(found)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)
