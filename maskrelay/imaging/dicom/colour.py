"""Conversion of DICOM colours to RGB as (height, width, 3) uint8. Embedded colour profiles are not applied.

Source of the formulas: PS3.3 C.7.6.3.1.2 (photometric interpretations).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.bands import in_bands
from maskrelay.imaging.dicom.lookup_tables import (
    LookupTable,
    expanded,
    read_descriptor,
    read_table,
)
from maskrelay.imaging.dicom.sample_layout import SUBSAMPLED, SampleLayout
from maskrelay.imaging.dicom.tags import named, octets, words

_ROWS = 256  # the number of rows that are converted at a time, because floats take four times the memory of bytes
_FULL = (0.0, 1.0, 1.0)  # the value of Y for black, and the factors of Y and of the colour differences
_PARTIAL = (16.0, 255 / 219, 255 / 224)


def to_rgb(values: npt.NDArray[Any], photometric: str, bits: int) -> npt.NDArray[np.uint8]:
    """Convert (height, width, 3) samples of `bits` bits from the photometric interpretation to RGB as uint8."""
    octet = _to_bytes(values, bits)
    reach = {"YBR_FULL": _FULL, "YBR_PARTIAL": _PARTIAL}.get(SUBSAMPLED.get(photometric, photometric))
    return _converted(octet, *reach) if reach else octet


def palette_to_rgb(
    values: npt.NDArray[Any], dataset: Dataset, layout: SampleLayout, *, little: bool
) -> npt.NDArray[np.uint8]:
    """Convert (height, width) values to colours with the three tables of the object's palette. Raises TagInvalid."""
    tables = [_palette(dataset, colour, layout, little=little) for colour in ("Red", "Green", "Blue")]
    return in_bands(values, lambda band: np.stack([table.of(band) for table in tables], axis=-1))


def _palette(dataset: Dataset, colour: str, layout: SampleLayout, *, little: bool) -> LookupTable:
    descriptor, content = (f"{colour}PaletteColorLookupTable{part}" for part in ("Descriptor", "Data"))
    if octets(dataset, content):
        table = read_table(dataset, descriptor, content, signed=layout.signed, little=little)
        bits = 8 * table.entries.itemsize
    else:
        table, bits = _segmented(dataset, descriptor, f"Segmented{content}", layout, little=little)
    if bits == 16 and table.entries.max(initial=0) < 256:
        bits = 8  # the entries have 8 bits although the descriptor says 16; as 16-bit entries they would be black
    return LookupTable(table.first, _to_bytes(table.entries, bits))


def _segmented(
    dataset: Dataset, descriptor: str, content: str, layout: SampleLayout, *, little: bool
) -> tuple[LookupTable, int]:
    count, first, bits = read_descriptor(dataset, descriptor, signed=layout.signed, little=little)
    raw = octets(dataset, content)
    if not raw:
        raise TagInvalid(f"{named(content.removeprefix('Segmented'))} is missing.")
    stored = np.frombuffer(raw, np.uint8) if bits == 8 else words(dataset, content, little=little)
    return LookupTable(first, expanded(stored, count, content)), bits


def _to_bytes(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Return the highest 8 of `bits` bits.

    Samples with fewer bits are scaled up. Samples of 8 bits that were widened, either by shifting or by repeating their
    bits, become exactly what they were.
    """
    if bits >= 8:
        return (values >> (bits - 8)).astype(np.uint8)
    return (values * (255.0 / ((1 << bits) - 1)) + 0.5).astype(np.uint8)


def _converted(ybr: npt.NDArray[np.uint8], black: float, luma: float, chroma: float) -> npt.NDArray[np.uint8]:
    rgb = np.empty(ybr.shape, np.uint8)
    for start in range(0, len(ybr), _ROWS):
        part = ybr[start : start + _ROWS].astype(np.float32)
        y = (part[..., 0] - np.float32(black)) * np.float32(luma) + np.float32(0.5)  # for rounding
        blue, red = ((part[..., at] - np.float32(128)) * np.float32(chroma) for at in (1, 2))
        part[..., 0] = y + red * np.float32(1.402)
        part[..., 1] = y - blue * np.float32(0.114 * 1.772 / 0.587) - red * np.float32(0.299 * 1.402 / 0.587)
        part[..., 2] = y + blue * np.float32(1.772)
        rgb[start : start + _ROWS] = np.clip(part, 0.0, 255.0, out=part).astype(np.uint8)
    return rgb
