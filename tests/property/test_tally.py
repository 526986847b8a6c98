"""Percentiles of a volume, plane by plane, are those of all its values together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from maskrelay.imaging.intensity.volume_percentiles import volume_window
from maskrelay.imaging.plane import Plane

pytestmark = pytest.mark.slow_subject("imaging-laws")

TYPES = ["uint8", "int8", "uint16", "int16", "int32", "uint32", "float32", "float64"]


@st.composite
def volumes(draw):
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    if draw(st.booleans()):  # many values, as of an image
        random = np.random.default_rng(draw(st.integers(0, 999)))
        room = np.iinfo(dtype) if dtype.kind in "ui" else np.finfo(np.float16)
        spread = draw(st.sampled_from([1.0, 100.0, 3e4, 2e9]))
        values = random.normal(spread / 4, spread, (shape[0], 40, 50))
        return values.clip(float(room.min), float(room.max)).astype(dtype)
    if dtype.kind == "f":
        elements = st.floats(-(2.0**99), 2.0**99, width=8 * dtype.itemsize) | st.sampled_from(
            [np.nan, np.inf, -np.inf, 0.0, -0.0]
        )
        return draw(arrays.arrays(dtype, shape, elements=elements))
    return draw(arrays.arrays(dtype, shape))


@given(volume=volumes(), positive=st.booleans())
@settings(max_examples=400, deadline=None)
def test_they_are_numpys_over_all_values(volume, positive):
    window = volume_window(
        "percentile-positive" if positive else "percentile-all", lambda: (Plane(one, 16) for one in volume)
    )
    values = volume[np.isfinite(volume)].astype(np.float64)
    chosen = values[values > 0] if positive and (values > 0).any() else values
    if not values.size:
        assert (window.name, window.low, window.high) == ("constant", 0, 0)
        return
    low, high = np.percentile(chosen, (0.5, 99.5))
    if low < high:
        assert window.name == ("percentile-positive" if chosen is not values else "percentile-all")
        assert (window.low, window.high) == (low, high)
    else:
        assert window.name == ("min-max" if values.min() < values.max() else "constant")
        assert (window.low, window.high) == (values.min(), values.max())
