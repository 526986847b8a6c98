"""DICOM lookup tables: the modality LUT, and the three tables of a palette. Sources: PS3.3 C.7.6.3.1.5–6, C.7.9.2."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.tags import named, octets, words

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MOST_ENTRIES = 1 << 16


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A lookup table from stored values to entries."""

    #: The stored value of the first entry. The first entry applies to all lower values too.
    first: int
    #: The entries for consecutive values. The last entry applies to all higher values too.
    entries: npt.NDArray[Any]

    def of(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the entry of each value, in an array of the same shape."""
        last = self.first + len(self.entries) - 1
        inside = np.clip(values.astype(np.int64), self.first, last)
        inside -= self.first
        return self.entries[inside]


def read_table(place: Dataset, descriptor: str, content: str, *, signed: bool, little: bool) -> LookupTable:
    """Return a table with entries of type uint8 or uint16. Raises TagInvalid."""
    count, first, bits = read_descriptor(place, descriptor, signed=signed, little=little)
    raw = octets(place, content) or b""
    if len(raw) >= 2 * count:
        entries = words(place, content, little=little)[:count]
        return LookupTable(first, entries.astype(np.uint8) if bits == 8 else entries)
    if bits == 8 and len(raw) >= count:
        return LookupTable(first, np.frombuffer(raw, np.uint8, count))
    raise TagInvalid(f"{named(content)} has fewer than the {count} entries of {named(descriptor)}.")


def read_descriptor(place: Dataset, keyword: str, *, signed: bool, little: bool) -> tuple[int, int, int]:
    """Return the number of entries, the stored value of the first entry, and the bits per entry (8 to 16).

    Raises TagInvalid.
    """
    found = words(place, keyword, little=little)
    if len(found) != 3 or not 8 <= found[2] <= 16:
        raise TagInvalid(f"{named(keyword)} does not contain three numbers of which the last is 8 to 16.")
    first = found[1:2].view(np.int16) if signed else found[1:2]
    return int(found[0]) or _MOST_ENTRIES, int(first[0]), int(found[2])


def expanded(segments: npt.NDArray[Any], count: int, keyword: str) -> npt.NDArray[np.uint16]:
    """Expand the segments of a palette to `count` entries (C.7.9.2).

    `segments` contains the stored numbers as uint8 or uint16. An indirect segment repeats earlier segments. These must
    not be indirect themselves. The expansion stops when there are `count` entries. Raises TagInvalid.
    """
    entries: list[int] = []
    stored = segments.tolist()
    place = 0
    while place + 2 <= len(stored) and len(entries) < count:
        if stored[place] == _INDIRECT:
            place = _repeat(stored, place, entries, count, wide=segments.dtype == np.uint16)
        else:
            place = _append(stored, place, entries)
    if len(entries) < count:
        raise TagInvalid(f"{named(keyword)} has fewer than {count} entries.")
    return np.array(entries[:count], np.uint16)


def _append(stored: list[int], place: int, entries: list[int]) -> int:
    """Append the entries of the segment at the index `place`, and return the index of the next segment."""
    kind, length = stored[place : place + 2]
    if kind == _DISCRETE:
        entries += stored[place + 2 : place + 2 + length]
        return place + 2 + length
    if kind != _LINEAR or not entries or place + 3 > len(stored):
        raise TagInvalid("A segment of a palette cannot be read.")
    steps = np.linspace(entries[-1], stored[place + 2], length + 1)[1:]
    entries += np.floor(steps + 0.5).astype(int).tolist()
    return place + 3


def _repeat(stored: list[int], place: int, entries: list[int], count: int, *, wide: bool) -> int:
    """Append the entries to which the indirect segment at the index `place` points.

    Return the index of the next segment.
    """
    parts = stored[place + 2 : place + (4 if wide else 6)]
    offset = sum(part << (16 if wide else 8) * at for at, part in enumerate(parts))
    source = offset // 2 if wide else offset
    for _ in range(stored[place + 1]):
        if source + 2 > place or len(entries) >= count:
            break
        source = _append(stored, source, entries)
    return place + (4 if wide else 6)
