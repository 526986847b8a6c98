"""The display windows (VOI) that an object proposes."""

from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups
from maskrelay.imaging.dicom.tags import numbers, text


def voi_windows(dataset: Dataset, groups: FunctionalGroups) -> tuple[tuple[float, float], ...]:
    """Return (centre, width) in modality units, in the object's order; of an enhanced object, those of its first frame.

    Pairs without a positive width are left out; everything is left out if a number cannot be read. A VOI LUT sequence
    is not read, because it is a curve and the following steps are linear.
    """
    place = _place(dataset, groups)
    try:
        centres, widths = numbers(place, "WindowCenter"), numbers(place, "WindowWidth")
    except TagInvalid:
        return ()
    return tuple((centre, width) for centre, width in zip(centres, widths, strict=False) if width > 0)


def voi_function(dataset: Dataset, groups: FunctionalGroups) -> str | None:
    """Return VOILUTFunction: LINEAR_EXACT or SIGMOID if the windows are not meant as LINEAR."""
    return text(_place(dataset, groups), "VOILUTFunction")


def _place(dataset: Dataset, groups: FunctionalGroups) -> Dataset:
    macro = groups.macro("FrameVOILUTSequence", 0)
    return dataset if macro is None else macro
