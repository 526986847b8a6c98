"""What storage holds of jobs, with a few of the things that never change kept at hand."""

from contextlib import suppress
from functools import lru_cache

from maskrelay.contract import keys
from maskrelay.contract.jobs import FRAMES_PER_PART, Result, Submission
from maskrelay.contract.outcomes import Outcome
from maskrelay.contract.planned import PlannedItem
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage, has
from maskrelay.storage.records import read_records


class Archive:
    """Reads jobs from `storage`; objects that are written once are kept, the least used go first.

    Every method raises StorageUnavailable when the store cannot answer.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._submissions = lru_cache(512)(self._read_submission)
        self._results = lru_cache(512)(self._read_result)
        self._item_parts = lru_cache(16)(self._read_item_part)
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

    def item(self, job: str, item: int, frame: int) -> PlannedItem:
        """The planned item that this frame of it belongs to: it begins in the frame's part of the plan, or before."""
        part = frame // FRAMES_PER_PART
        while (found := self._item_parts(job, part).get(item)) is None:
            part -= 1
        return found

    def parts(self, job: str) -> list[str]:
        """The outcome parts that storage holds, oldest first."""
        return [keys.part_of(key) for key in self._storage.list(keys.outcomes(job))]

    def outcomes(self, job: str, part: str) -> tuple[Outcome, ...]:
        """A part's lines; none if the part was lost."""
        with suppress(ObjectMissing):
            return self._parts(job, part)
        return ()

    def frames(self, job: str, part: str) -> dict[int, int]:
        """The frames a part has lines of, each with its item."""
        with suppress(ObjectMissing):
            return self._frames(job, part)
        return {}

    def _read_submission(self, job: str) -> Submission:
        return Submission.model_validate_json(self._storage.get(keys.accepted(job)))

    def _read_result(self, job: str) -> Result:
        return Result.model_validate_json(self._storage.get(keys.result(job)))

    def _read_item_part(self, job: str, part: int) -> dict[int, PlannedItem]:
        return {item.item: item for item in read_records(self._storage, keys.item_part(job, part), PlannedItem)}

    def _read_part(self, job: str, part: str) -> tuple[Outcome, ...]:
        return tuple(read_records(self._storage, keys.outcome_part(job, part), Outcome))

    def _read_frames(self, job: str, part: str) -> dict[int, int]:
        return {outcome.frame: outcome.item for outcome in self._parts(job, part)}
