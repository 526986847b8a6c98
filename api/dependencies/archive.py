"""A reader of the records of jobs in storage. Records that never change are cached."""

from contextlib import suppress
from functools import lru_cache

from api.dependencies.planned_part import PlannedPart
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, Result, Submission
from maskrelay.contract.records.outcomes import Outcome, read_outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage, has
from maskrelay.storage.stored_records import read_result, read_submission

#: The largest possible number of frames in a plan. The numbers of its parts have six digits.
_MOST_FRAMES = 10**6 * FRAMES_PER_PART


class Archive:
    """A reader of the records of jobs in `storage`, with a cache of objects that are written only once.

    Every method raises StorageUnavailable if the store does not respond, and RecordUnreadable if a
    record cannot be parsed.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._submissions = lru_cache(512)(self._read_submission)
        self._results = lru_cache(512)(self._read_result)
        self._item_parts = lru_cache(64)(self._read_item_part)
        self._parts = lru_cache(64)(self._read_part)
        self._frames = lru_cache(4096)(self._read_frames)

    def submission(self, job: str) -> Submission | None:
        with suppress(ObjectMissing):
            return self._submissions(job)
        return None

    def result(self, job: str) -> Result | None:
        with suppress(ObjectMissing):
            return self._results(job)
        return None

    def has(self, key: str) -> bool:
        return has(self._storage, key)

    def item_of(self, job: str, frame: int) -> PlannedItem | None:
        """Return the planned item that contains the frame, or None if the plan has no such frame."""
        if frame >= _MOST_FRAMES:
            return None
        for part in range(frame // FRAMES_PER_PART, -1, -1):
            try:
                item = self._item_parts(job, part).last_before(frame)
            except ObjectMissing:
                return None
            if item is not None:
                return item if frame < item.first + item.frames else None
        return None

    def item_numbered(self, job: str, item: int) -> PlannedItem | None:
        """Return the planned item with this number, or None if there is none so far."""
        # Each of the items before it has at least one frame, so it does not begin earlier.
        for part in range(item // FRAMES_PER_PART, _MOST_FRAMES // FRAMES_PER_PART):
            try:
                found = self._item_parts(job, part).numbered(item)
            except ObjectMissing:
                return None
            if found is not None:
                return found
        return None

    def most_frames(self, job: str) -> int:
        """Return an upper bound of the number of frames that are planned so far."""
        return FRAMES_PER_PART * sum(1 for _ in self._storage.list(keys.item_parts(job)))

    def parts(self, job: str) -> list[str]:
        """Return the names of the outcome parts in storage, oldest first."""
        names = map(keys.part_of, self._storage.list(keys.outcomes(job)))
        return [name for name in names if keys.PART.fullmatch(name)]

    def outcomes(self, job: str, part: str) -> tuple[Outcome | None, ...]:
        """Return the outcomes in a part, with None for each line that cannot be used.

        If the part is lost, the result is empty.
        """
        with suppress(ObjectMissing):
            return self._parts(job, part)
        return ()

    def frames(self, job: str, part: str) -> tuple[tuple[int, bool], ...]:
        """Return the frame of every usable line of a part, and whether the frame succeeded."""
        with suppress(ObjectMissing):
            return self._frames(job, part)
        return ()

    def _read_submission(self, job: str) -> Submission:
        return read_submission(self._storage, job)

    def _read_result(self, job: str) -> Result:
        return read_result(self._storage, job)

    def _read_item_part(self, job: str, part: int) -> PlannedPart:
        key = keys.item_part(job, part)
        return PlannedPart(self._storage.get(key).splitlines(), key)

    def _read_part(self, job: str, part: str) -> tuple[Outcome | None, ...]:
        return tuple(map(read_outcome, self._storage.get(keys.outcome_part(job, part)).splitlines()))

    def _read_frames(self, job: str, part: str) -> tuple[tuple[int, bool], ...]:
        outcomes = self._parts(job, part)
        return tuple((outcome.frame, outcome.state == "succeeded") for outcome in outcomes if outcome is not None)
