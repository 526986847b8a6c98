"""Marks: numbers, strings and directions that distinguish two objects, or two frames, at the same position.

Sources: PS3.3 C.8.3 (MR), C.8.13 (enhanced MR), C.8.2 and C.8.15 (CT), C.7.6.16 (functional groups), and the DICOM
conformance statements of the vendors for diffusion.
"""

from datetime import UTC, datetime
from typing import Any

from pydicom import Dataset

from maskrelay.contract.records.dicom_facts import MARKS, Mark
from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups
from maskrelay.imaging.dicom.tags import number, numbers, text, values_of

_MOST_WORDS, _LONGEST_WORD = 8, 64
#: The numeric marks of an object without functional groups, each with its tag.
NUMBERS = {
    "acquisition_number": "AcquisitionNumber",
    "echo_number": "EchoNumbers",
    "echo_time": "EchoTime",
    "temporal_position": "TemporalPositionIdentifier",
    "trigger_time": "TriggerTime",
    "b_value": "DiffusionBValue",
    "inversion_time": "InversionTime",
    "frame_reference_time": "FrameReferenceTime",
    "flip_angle": "FlipAngle",
    "cardiac_phase_percent": "NominalPercentageOfCardiacPhase",
    "kvp": "KVP",
}
#: The numeric marks of a frame of an enhanced object, each with its functional group and its tag.
_FRAME_NUMBERS = {
    "acquisition_number": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "echo_time": ("MREchoSequence", "EffectiveEchoTime"),
    "temporal_position": ("FrameContentSequence", "TemporalPositionIndex"),
    "trigger_time": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "b_value": ("MRDiffusionSequence", "DiffusionBValue"),
    "inversion_time": ("MRModifierSequence", "InversionTimes"),
    "flip_angle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "cardiac_phase_percent": ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    "kvp": ("CTXRayDetailsSequence", "KVP"),
}
WORDS = {"sequence_name": "SequenceName", "kernel": "ConvolutionKernel"}
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
#: The marks that are times, each with the tags of the date, of the time of day, and of both combined.
TIMES = {
    "acquisition_time": ("AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime"),
    "content_time": ("ContentDate", "ContentTime", ""),
}
#: The number of decimals to which these marks are rounded, because some programs write slightly different values for
#: different slices.
_DECIMALS = {"echo_time": 2, "inversion_time": 1, "b_value": 0, "flip_angle": 1, "gradient_direction": 2}

#: The private elements of each vendor. A row contains three parts: the creator (its group, element and value), the
#: element with the b-value, and the one or three elements with the gradient direction.
_SIEMENS = ((0x0019, 0x0010, "SIEMENS MR HEADER"), 0x0019100C, (0x0019100E,))
_PHILIPS = ((0x2001, 0x0010, "Philips Imaging DD 001"), 0x20011003, (0x200510B0, 0x200510B1, 0x200510B2))
_GE = ((0x0043, 0x0010, "GEMS_PARM_01"), 0x00431039, (0x001910BB, 0x001910BC, 0x001910BD))
_VENDORS = (_SIEMENS, _PHILIPS, _GE)
#: GE's private image type. It distinguishes the real, imaginary, phase and magnitude images of a series, although all
#: of them have the same ImageType.
_GE_IMAGE_TYPE = 0x0043102F
_GE_B_VALUE_OFFSET = 1e6  # some GE devices add a multiple of this number to the b-value

KEYWORDS = (
    *NUMBERS.values(),
    *WORDS.values(),
    *(tag for tags in TIMES.values() for tag in tags if tag),
    "ImageType",
    "DiffusionGradientOrientation",
)
PRIVATE = (
    0x00190010,
    0x20010010,
    0x20050010,
    0x00430010,
    _GE_IMAGE_TYPE,
    *(tag for _, b_value, direction in _VENDORS for tag in (b_value, *direction)),
)


def marks_of(dataset: Dataset) -> tuple[Mark, ...]:
    """Return the marks of an object without functional groups, in the order of `MARKS`.

    Marks that are absent or unreadable are 0 or empty.
    """
    found: dict[str, Mark] = {name: number(dataset, tag) or 0.0 for name, tag in NUMBERS.items()}
    found |= {name: _words(dataset, tag) for name, tag in WORDS.items()}
    found |= {name: _seconds(dataset, *tags) for name, tags in TIMES.items()}
    found["image_type"] = _image_type(dataset)
    found["gradient_direction"] = _numbers(dataset, "DiffusionGradientOrientation", 3)
    for vendor in _VENDORS:
        _fill_in(found, dataset, *vendor)
    return _in_order(found)


def frame_marks(groups: FunctionalGroups, index: int) -> tuple[Mark, ...]:
    """Return the marks of frame `index` of an enhanced object, in the order of `MARKS`."""

    def macro(name: str) -> Dataset:
        return groups.macro(name, index) or Dataset()

    found: dict[str, Mark] = {name: number(macro(of), tag) or 0.0 for name, (of, tag) in _FRAME_NUMBERS.items()}
    found["image_type"] = next((words for name in _FRAME_TYPES if (words := _words(macro(name), "FrameType"))), "")
    complex_component = _words(macro("MRImageFrameTypeSequence"), "ComplexImageComponent")
    if complex_component:
        found["image_type"] = f"{found['image_type']}\\{complex_component}"
    gradient = macro("MRDiffusionSequence")
    directions = _items(gradient, "DiffusionGradientDirectionSequence")
    if directions:
        found["gradient_direction"] = _numbers(directions[0], "DiffusionGradientOrientation", 3)
    found["acquisition_time"] = _seconds(macro("FrameContentSequence"), "", "", "FrameAcquisitionDateTime")
    found["content_time"] = _seconds(macro("FrameContentSequence"), "", "", "FrameReferenceDateTime")
    return _in_order(found)


def _items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence, or nothing if it is absent or unreadable."""
    return tuple(item for item in _values(dataset, keyword) if isinstance(item, Dataset))


def _values(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    try:
        return values_of(dataset, keyword)
    except TagInvalid:
        return ()


def _in_order(found: dict[str, Mark]) -> tuple[Mark, ...]:
    absent: dict[str, Mark] = {"image_type": "", "sequence_name": "", "kernel": "", "gradient_direction": ()}
    return tuple(_rounded(name, found.get(name, absent.get(name, 0.0))) for name in MARKS)


def _rounded(name: str, mark: Mark) -> Mark:
    decimals = _DECIMALS.get(name)
    if decimals is None or isinstance(mark, str):
        return mark
    if isinstance(mark, tuple):
        return tuple(round(value, decimals) + 0.0 for value in mark)
    return round(mark, decimals) + 0.0


def _words(dataset: Dataset, keyword: str) -> str:
    """Return the values of a tag, separated by backslashes. Long values and those not in ASCII are left out."""
    found = [str(word).strip() for word in _values(dataset, keyword)]
    plain = (word for word in found[:_MOST_WORDS] if len(word) <= _LONGEST_WORD and word.isascii())
    return "\\".join(word for word in plain if word.isprintable())


def _image_type(dataset: Dataset) -> str:
    """Return ImageType, followed by GE's private image type if there is one."""
    kind = _private(dataset, _GE[0], _GE_IMAGE_TYPE, 1)
    words = _words(dataset, "ImageType")
    return f"{words}\\{int(kind[0])}" if kind and kind[0] else words


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    try:
        return numbers(dataset, keyword, count)
    except TagInvalid:
        return ()


def _seconds(dataset: Dataset, date: str, time: str, both: str) -> float:
    """Return the seconds since 1900, or since midnight if there is no date. Return 0 if there is no time."""
    written = text(dataset, both) if both else None
    if written is None:
        day, clock = (text(dataset, date) if date else None) or "19000101", text(dataset, time) if time else None
        written = f"{day}{clock}" if clock else ""
    digits, _, fraction = written.replace(":", "").partition("+")[0].partition("-")[0].partition(".")
    try:
        moment = datetime.strptime(digits.ljust(14, "0")[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    seconds = (moment - datetime(1900, 1, 1, tzinfo=UTC)).total_seconds()
    return seconds + (float(f"0.{fraction[:6]}") if fraction.isdigit() else 0.0)


def _fill_in(
    found: dict[str, Mark], dataset: Dataset, creator: tuple[int, int, str], b_value: int, direction: tuple[int, ...]
) -> None:
    """Take the b-value and the direction from private elements of a vendor if the standard tags are absent."""
    if not found["b_value"] and (own := _private(dataset, creator, b_value, 1)):
        found["b_value"] = own[0] % _GE_B_VALUE_OFFSET if creator == _GE[0] else own[0]
    if not found["gradient_direction"]:
        parts = [_private(dataset, creator, tag, 3 if len(direction) == 1 else 1) for tag in direction]
        found["gradient_direction"] = tuple(value for part in parts for value in part) if all(parts) else ()


def _private(dataset: Dataset, creator: tuple[int, int, str], tag: int, count: int) -> tuple[float, ...]:
    """Return the first `count` numbers of a private element, if its block belongs to this creator."""
    group, element, name = creator
    try:
        if tag not in dataset or str(dataset[group, element].value).strip() != name:
            return ()
        value: Any = dataset[tag].value
        values = (value,) if isinstance(value, str | int | float) else tuple(value)
        return tuple(float(number) for number in values)[:count]
    except Exception:  # noqa: BLE001  the element is only informative, and pydicom parses values on access
        return ()
