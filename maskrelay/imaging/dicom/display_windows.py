"""The display windows (VOI) that the header of a DICOM object contains."""

from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups
from maskrelay.imaging.dicom.tags import numbers, text


def voi_windows(dataset: Dataset, groups: FunctionalGroups) -> tuple[tuple[float, float], ...]:
    """Return the windows of an object as (centre, width) in modality units, in the order of the object.

    The windows of an enhanced object are those of its first frame. Windows without a positive width are left out. If a
    number cannot be read, there are no windows. A VOI LUT sequence is not read, because its table may describe any
    curve, which a window cannot express.
    """
    place = _place(dataset, groups)
    try:
        centres, widths = numbers(place, "WindowCenter"), numbers(place, "WindowWidth")
    except TagInvalid:
        return ()
    return tuple((centre, width) for centre, width in zip(centres, widths, strict=False) if width > 0)


def voi_function(dataset: Dataset, groups: FunctionalGroups) -> str | None:
    """Return the value of VOILUTFunction, which says how the windows are applied: LINEAR, LINEAR_EXACT or SIGMOID."""
    return text(_place(dataset, groups), "VOILUTFunction")


def _place(dataset: Dataset, groups: FunctionalGroups) -> Dataset:
    macro = groups.macro("FrameVOILUTSequence", 0)
    return dataset if macro is None else macro
