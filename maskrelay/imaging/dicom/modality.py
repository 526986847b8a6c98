"""The conversion of stored values to modality units, with a rescale or a lookup table. Source: PS3.3 C.11.1."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.bands import in_bands
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups
from maskrelay.imaging.dicom.lookup_tables import LookupTable, read_table
from maskrelay.imaging.dicom.sample_layout import SampleLayout
from maskrelay.imaging.dicom.tags import items, named, numbers

_WHOLE = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)


@dataclass(frozen=True)
class Rescale:
    slope: float = 1.0
    intercept: float = 0.0


def read_modality(
    dataset: Dataset, groups: FunctionalGroups, layout: SampleLayout, index: int, *, little: bool
) -> Rescale | LookupTable:
    """Return the modality transformation of frame `index`.

    The first one that exists is used, in this order: the rescale of the frame, the rescale in the shared functional
    groups, the lookup table of the object, the rescale of the object. If there is none, the result is the identity.
    Raises TagInvalid.
    """
    macro = groups.macro("PixelValueTransformationSequence", index)
    if macro is not None:
        return _rescale(macro)
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        return read_table(tables[0], "LUTDescriptor", "LUTData", signed=layout.signed, little=little)
    return _rescale(dataset)


def _rescale(place: Dataset) -> Rescale:
    slope, intercept = (numbers(place, keyword, 1) for keyword in ("RescaleSlope", "RescaleIntercept"))
    if slope and slope[0] == 0:
        raise TagInvalid(f"{named('RescaleSlope')} is 0.")
    return Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)


def apply_modality(values: npt.NDArray[Any], modality: Rescale | LookupTable, layout: SampleLayout) -> npt.NDArray[Any]:
    """Return the transformed values in the same shape.

    The identity returns the values unchanged. A rescale by whole numbers returns integers, if they fit in 64 bits.
    Their type is the smallest one that fits the results for all possible stored values, so it does not depend on the
    values of the frame. Any other rescale returns float64. A lookup table returns its entries.
    """
    if isinstance(modality, LookupTable):
        return in_bands(values, modality.of)
    if modality == Rescale():
        return values
    slope, intercept = modality.slope, modality.intercept
    target = None if layout.floating else _whole_type(modality, layout)
    if target is None:
        return in_bands(values, lambda band: band.astype(np.float64) * slope + intercept)
    # in int64, neither the product nor the sum can overflow
    return in_bands(values, lambda band: (band.astype(np.int64) * int(slope) + int(intercept)).astype(target))


def _whole_type(rescale: Rescale, layout: SampleLayout) -> npt.DTypeLike | None:
    if rescale.slope != int(rescale.slope) or rescale.intercept != int(rescale.intercept):
        return None
    low = -(1 << layout.stored - 1) if layout.signed else 0
    ends = [end * int(rescale.slope) for end in (low, low + (1 << layout.stored) - 1)]
    room = np.iinfo(np.int64)
    if not room.min <= min(ends) <= max(ends) <= room.max or layout.stored > 63 - layout.signed:
        return None
    limits = sorted(end + int(rescale.intercept) for end in ends)
    fitting = (kind for kind in _WHOLE if np.iinfo(kind).min <= limits[0] and limits[1] <= np.iinfo(kind).max)
    return next(fitting, None)
