"""A whole item in the form that the writers of its files need. The masks are read from storage, one frame at a time."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from maskrelay.contract.records.job import FRAMES_PER_PART, PlannedFrame, Submission
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.vocabulary.outputs import OF_ITEM, Output
from maskrelay.imaging.masks.rle import decode_rle
from maskrelay.storage.protocol import Storage
from worker.context.job_records.plans import LruCache, read_frame_part, read_item_part
from worker.context.job_records.visible_outcomes import VisibleOutcomes


class WholeItem:
    """One item with its frames and their visible outcomes. Only a few outcomes are in memory at a time."""

    def __init__(
        self,
        storage: Storage,
        submission: Submission,
        item: PlannedItem,
        frames: Sequence[PlannedFrame],
        visible: VisibleOutcomes,
    ) -> None:
        self.submission = submission
        self.item = item
        self.frames = frames
        self.prompts = frames[0].prompts
        self.wanted = whole_outputs(item)
        self._storage = storage
        self._outcome = LruCache[int, Outcome | None](lambda place: visible.outcome(frames[place].frame), most=16)

    def masks(self, place: int) -> tuple[MaskOutcome, ...]:
        """Return the masks of the frame at this position in the item. A failed frame has none."""
        outcome = self._outcome(place)
        return outcome.masks if outcome is not None else ()

    def model_version(self, place: int) -> str | None:
        """Return the version of the model that has segmented the frame at this position."""
        outcome = self._outcome(place)
        return outcome.model_version if outcome is not None else None

    @cached_property
    def first(self) -> Outcome | None:
        """The first outcome with masks, or None."""
        outcomes = (self._outcome(place) for place in range(len(self.frames)))
        return next((outcome for outcome in outcomes if outcome is not None and outcome.masks), None)

    @cached_property
    def failed(self) -> tuple[int, ...]:
        """The positions of the frames that have no masks, because they failed."""
        return tuple(place for place in range(len(self.frames)) if not self.masks(place))

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """The sizes (height, width) of the frames with masks."""
        return {masks[0].rle.size for masks in map(self.masks, range(len(self.frames))) if masks}

    def mask_of(self, place: int, prompt: int) -> npt.NDArray[np.bool_]:
        """Return the mask of a prompt as a bool array of shape (height, width) in pixels of the source.

        All values are False if the frame failed.
        """
        masks = self.masks(place)
        return decode_rle(masks[prompt].rle) if masks else np.zeros(self._size, np.bool_)

    def labels_of(self, place: int) -> npt.NDArray[np.uint16]:
        """Return the labels as a uint16 array of shape (height, width).

        The value is the number of the prompt, counted from 1, or 0 for the background. Where masks overlap, the prompt
        with the highest probability is chosen.
        """
        labels = np.zeros(self._size, np.uint16)
        for number, mask in enumerate(self.masks(place), start=1):
            labels[decode_rle(mask.label_rle or mask.rle)] = number
        return labels

    def thumbnail_of(self, place: int) -> bytes | None:
        """Return the thumbnail of a frame as the bytes of an image file, or None if there is none."""
        outcome = self._outcome(place)
        ref = outcome.thumbnail if outcome is not None else None
        return None if ref is None else self._storage.get(ref.key, ref.offset, ref.length)

    def first_found(self, prompt: int) -> MaskOutcome | None:
        """Return the first mask of this prompt that is not empty, or None."""
        masks = (self.masks(place) for place in range(len(self.frames)))
        return next((some[prompt] for some in masks if some and not some[prompt].empty), None)

    @property
    def _size(self) -> tuple[int, int]:
        assert self.first is not None
        return self.first.masks[0].rle.size


def whole_outputs(item: PlannedItem) -> list[Output]:
    """Return the requested outputs that belong to the item as a whole."""
    return [output for output in item.outputs if output in OF_ITEM]


def read_item(storage: Storage, job: str, item: int, part: int) -> tuple[PlannedItem, list[PlannedFrame]]:
    """Return the item, which must begin in this part of the plan, and its frames. Raises ObjectMissing."""
    planned = next(candidate for candidate in read_item_part(storage, job, part) if candidate.item == item)
    last = (planned.first + planned.frames - 1) // FRAMES_PER_PART
    frames = [frame for number in range(part, last + 1) for frame in read_frame_part(storage, job, number)]
    return planned, [frame for frame in frames if frame.item == item]
