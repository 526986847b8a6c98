"""Conversion of a plane to 8 bits, in the same way as the training images of the model.

The source is the model's own preprocessing (BiomedParse, `process_intensity_image`). It clips the values to a CT
window, or to the percentiles 0.5 and 99.5 of the values above 0, and then computes `(value − low) / (high − low) ×
255`. As `low` and `high` it uses the minimum and maximum after clipping. These are the limits of the window if the
slice has values at or beyond both. The model's preprocessing rounds only when it resizes. Here, the result is rounded
half up, which is `floor(x + 0.5)`, computed in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.vocabulary.intensity_names import NONE, POSITIVE
from maskrelay.imaging.bands import in_bands
from maskrelay.imaging.intensity.volume_percentiles import volume_window
from maskrelay.imaging.plane import Plane

Pixels = npt.NDArray[np.uint8]


def to_bytes(plane: Plane, window: Window | None) -> tuple[Pixels, str]:
    """Return the plane as uint8 in the same shape as its values, and the name of the conversion.

    With a linear window, values up to `low` become 0 and values from `high` on become 255. A sigmoid window is computed
    as in DICOM. If `low` and `high` are equal, the result is black. Without a window, unsigned samples of at most 8
    bits are not changed, or scaled if the plane's `white` is not 255, and the name is `none`. Other samples are
    converted with the window of the plane's own percentiles (see `volume_window`). After that, the values are inverted
    if the plane is `inverted`, and padding and NaN become black.
    """
    values = plane.values
    if window is None and not (plane.bits <= 8 and values.dtype.kind == "u"):
        window = volume_window(POSITIVE, lambda: iter((plane,)))
    elif window is None and plane.white != 255:
        window = Window(name=NONE, low=0, high=plane.white)
    pixels = values.astype(np.uint8, copy=False) if window is None else _windowed(values, window)
    if plane.inverted:
        pixels = np.invert(pixels, out=None if pixels is values else pixels)
    return _blackened(pixels, plane), NONE if window is None else window.name


def _windowed(values: npt.NDArray[Any], window: Window) -> Pixels:
    table = _table(values.dtype, window)
    if table is None:
        return in_bands(values, lambda band: _line(band, window))
    return in_bands(values, lambda band: table[band.view(f"u{band.itemsize}")])


def _table(kind: np.dtype[Any], window: Window) -> Pixels | None:
    """Return a table with the byte for every value of an integer type of at most 16 bits. Return None for other types.

    The table is indexed by the bits of the value. It needs at most 65,536 computations, instead of one for each pixel.
    """
    if kind.kind not in "ui" or kind.itemsize > 2:
        return None
    every = np.arange(1 << 8 * kind.itemsize, dtype=f"u{kind.itemsize}")
    return _line(every.view(kind), window)


def _line(values: npt.NDArray[Any], window: Window) -> Pixels:
    if window.high <= window.low:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and NaN are handled below
        scaled = values.astype(np.float64)
        scaled -= window.low
        scaled /= window.high - window.low
        if window.sigmoid:  # as in PS3.3 C.11.2.1.3.1, where positions go from −½ to ½ instead of 0 to 1
            scaled = 1.0 / (1.0 + np.exp(2.0 - 4.0 * scaled))
        scaled *= 255.0
    scaled += 0.5
    np.clip(scaled, 0.0, 255.0, out=scaled)
    np.nan_to_num(scaled, copy=False, nan=0.0)
    return np.floor(scaled, out=scaled).astype(np.uint8)


def _blackened(pixels: Pixels, plane: Plane) -> Pixels:
    unmeasured = [] if plane.padding is None else [plane.padding]
    if plane.values.dtype.kind == "f":
        unmeasured.append(np.isnan(plane.values))
    if not unmeasured:
        return pixels
    if pixels is plane.values:
        pixels = pixels.copy()
    for black in unmeasured:
        pixels[black] = 0
    return pixels
