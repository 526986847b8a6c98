"""What storage holds of jobs, with a few of the things that never change kept at hand."""

from contextlib import suppress
from functools import lru_cache

from maskrelay.contract import keys
from maskrelay.contract.jobs import Item, Result, Submission
from maskrelay.contract.outcomes import Outcome
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage


class Archive:
    """Reads jobs from `storage`; objects that are written once are kept, the least used go first.

    Every method raises StorageUnavailable when the store cannot answer.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._submissions = lru_cache(512)(self._read_submission)
        self._results = lru_cache(512)(self._read_result)
        self._item_lines = lru_cache(4)(self._read_items)
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
        try:
            self._storage.head(key)
        except ObjectMissing:
            return False
        return True

    def item(self, submission: Submission, number: int) -> Item:
        if submission.items_key is None:
            return submission.items[number]
        return Item.model_validate_json(self._item_lines(submission.items_key)[number])

    def parts(self, job: str) -> list[str]:
        """The outcome parts that storage holds, oldest first."""
        return [keys.part_of(key) for key in self._storage.list(keys.outcomes(job))]

    def outcomes(self, job: str, part: str) -> tuple[Outcome, ...]:
        """A part's lines; none if the part was lost."""
        with suppress(ObjectMissing):
            return self._parts(job, part)
        return ()

    def frames(self, job: str, part: str) -> frozenset[int]:
        """The frames a part has lines of."""
        with suppress(ObjectMissing):
            return self._frames(job, part)
        return frozenset()

    def _read_submission(self, job: str) -> Submission:
        return Submission.model_validate_json(self._storage.get(keys.accepted(job)))

    def _read_result(self, job: str) -> Result:
        return Result.model_validate_json(self._storage.get(keys.result(job)))

    def _read_items(self, items_key: str) -> tuple[bytes, ...]:
        return tuple(self._storage.get(items_key).splitlines())

    def _read_part(self, job: str, part: str) -> tuple[Outcome, ...]:
        lines = self._storage.get(keys.outcome_part(job, part)).splitlines()
        return tuple(Outcome.model_validate_json(line) for line in lines)

    def _read_frames(self, job: str, part: str) -> frozenset[int]:
        return frozenset(outcome.frame for outcome in self._parts(job, part))
