"""Functional groups of an enhanced object: the attributes shared by all frames, and those of each frame."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.tags import items, named

_SHARED, _EACH = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class FunctionalGroups:
    """The functional groups of an object."""

    #: At most one item.
    shared: Sequence[Dataset]
    #: One item per frame, or none.
    each: Sequence[Dataset]

    def macro(self, keyword: str, index: int) -> Dataset | None:
        """Return the first item of this sequence for the frame `index`: its own, otherwise the shared one."""
        for group in (*self.each[index : index + 1], *self.shared):
            found = items(group, keyword)
            if found:
                return found[0]
        return None

    def __bool__(self) -> bool:
        return bool(self.shared or self.each)


def read_groups(dataset: Dataset, frames: int) -> FunctionalGroups:
    """Return the functional groups; both are empty for an object that is not enhanced. Raises TagInvalid."""
    each = items(dataset, _EACH)
    if each and len(each) != frames:
        raise TagInvalid(f"{named(_EACH)} has {len(each)} items for {frames} frames.")
    return FunctionalGroups(items(dataset, _SHARED)[:1], each)
