"""The functional groups of an enhanced DICOM object: the attributes that all frames share, and those of each frame."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom.tags import items, named

_SHARED, _EACH = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class FunctionalGroups:
    """The functional groups of an object."""

    #: The groups that all frames share: one item, or none.
    shared: Sequence[Dataset]
    #: The groups of each frame: one item for each frame, or none.
    each: Sequence[Dataset]

    def macro(self, keyword: str, index: int) -> Dataset | None:
        """Return the first item of the sequence `keyword` that applies to frame `index`, or None.

        The sequence in the groups of the frame takes precedence over that in the shared groups.
        """
        for group in (*self.each[index : index + 1], *self.shared):
            found = items(group, keyword)
            if found:
                return found[0]
        return None

    def __bool__(self) -> bool:
        return bool(self.shared or self.each)


def read_groups(dataset: Dataset, frames: int) -> FunctionalGroups:
    """Return the functional groups of an object with `frames` frames. They are empty if the object is not enhanced.

    Raises TagInvalid if the groups of the frames are present but are not one item for each frame, or if a sequence
    cannot be read.
    """
    each = items(dataset, _EACH)
    if each and len(each) != frames:
        raise TagInvalid(f"{named(_EACH)} has {len(each)} items for {frames} frames.")
    return FunctionalGroups(items(dataset, _SHARED)[:1], each)
