"""Reading of values from a DICOM dataset with the requested type. Errors name the tag."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement

from maskrelay.errors import TagInvalid

_UID = re.compile(r"[0-9.]{1,64}")
_LONGEST_TEXT = 64
_ITEM = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # the tag that begins an item, in either byte order
_MOST_ITEMS = 200_000  # the memory for one parsed item is half a kilobyte
#: The largest size of a sequence, in bytes. An enhanced object has about half a kilobyte per frame. A malicious
#: sequence takes 30 times its size in memory when it is parsed.
_LONGEST_SEQUENCE = 1 << 24


def named(keyword: str) -> str:
    """Return the name of a tag for an error, such as `(0028,0010) Rows`."""
    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {keyword}"


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value of a tag as pydicom parses it, or None if it is absent or empty. Raises TagInvalid."""
    if keyword not in dataset:
        return None
    try:
        value = dataset[keyword].value
    except Exception:  # noqa: BLE001  pydicom's messages quote the value
        raise TagInvalid(f"{named(keyword)} cannot be read.") from None
    return None if value is None or (isinstance(value, str | bytes | Sequence) and not value) else value


def values_of(dataset: Dataset, keyword: str) -> tuple[Any, ...]:
    """Return all values of a tag, or nothing if it is absent. Raises TagInvalid."""
    value = value_of(dataset, keyword)
    if value is None:
        return ()
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...]:
    """Return the values of a tag as finite numbers, or nothing if it is absent.

    Raises TagInvalid if the values are not finite numbers, or if there are not `count` values.
    """
    values = values_of(dataset, keyword)
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise TagInvalid(f"{named(keyword)} is not a number.") from None
    if not all(math.isfinite(value) for value in found):
        raise TagInvalid(f"{named(keyword)} is not finite.")
    if found and count is not None and len(found) != count:
        raise TagInvalid(f"{named(keyword)} has {len(found)} values instead of {count}.")
    return found


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first number in a tag that is only informative, or None if the tag is absent or cannot be read."""
    try:
        return next(iter(numbers(dataset, keyword)), None)
    except TagInvalid:
        return None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """Return the value of a tag as an integer, or None if it is absent. Raises TagInvalid."""
    found = numbers(dataset, keyword, 1)
    if found and found[0] != int(found[0]):
        raise TagInvalid(f"{named(keyword)} is not a whole number.")
    return int(found[0]) if found else None


def text(dataset: Dataset, keyword: str) -> str | None:
    """Return the first value of a tag that is only informative.

    Return None if it is absent, unreadable, too long or not in ASCII.
    """
    try:
        word = str(next(iter(values_of(dataset, keyword)), "")).strip()
    except TagInvalid:
        return None
    return word if word and len(word) <= _LONGEST_TEXT and word.isascii() and word.isprintable() else None


def uid(dataset: Dataset, keyword: str) -> str:
    """Return the UID in a tag, or an empty string if it is absent.

    Raises TagInvalid if the value contains characters other than digits and dots.
    """
    found = str(value_of(dataset, keyword) or "").strip(" \0")
    if found and not _UID.fullmatch(found):
        raise TagInvalid(f"{named(keyword)} is not a UID.")
    return found


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence, or nothing if it is absent.

    Raises TagInvalid if the tag is not a sequence or cannot be read, or if it has too many items.
    """
    raw = octets(dataset, keyword)
    if raw is not None and (len(raw) > _LONGEST_SEQUENCE or max(map(raw.count, _ITEM)) > _MOST_ITEMS):
        raise TagInvalid(f"{named(keyword)} has more items than this service accepts.")
    found = value_of(dataset, keyword)
    if found is None:
        return ()
    if not isinstance(found, Sequence) or not all(isinstance(item, Dataset) for item in found):
        raise TagInvalid(f"{named(keyword)} is not a sequence.")
    return found


def octets(dataset: Dataset, keyword: str) -> bytes | None:
    """Return the bytes of a value as they are in the file, or None if the tag is absent or already parsed."""
    if keyword not in dataset:
        return None
    element = dataset.get_item(keyword)
    raw = element.value if isinstance(element, RawDataElement) else getattr(element, "value", None)
    return raw if isinstance(raw, bytes) else None


def words(dataset: Dataset, keyword: str, *, little: bool) -> npt.NDArray[np.uint16]:
    """Return the value of a tag as unsigned 16-bit numbers.

    The descriptors and entries of lookup tables may have the VR US, SS or OW. All of these are accepted. Raises
    TagInvalid if the tag is missing.
    """
    raw = octets(dataset, keyword)
    if not raw:
        raise TagInvalid(f"{named(keyword)} is missing.")
    return np.frombuffer(raw[: len(raw) // 2 * 2], "<u2" if little else ">u2").astype(np.uint16)
