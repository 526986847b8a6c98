"""Reviews of items: what a reader says about the masks of an item.

Each review is stored as an object of its own, and none is ever changed, so the history is kept. The name of the object
contains the verdict, the grade and the flag. A listing therefore shows everything but the comments.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from maskrelay.contract.record import Number, Record
from maskrelay.contract.records import keys

Verdict = Literal["accept", "reject"]
Grade = Annotated[int, Field(ge=1, le=5)]
COMMENT_LENGTH = 2000
_LETTERS: dict[Verdict | None, str] = {"accept": "a", "reject": "r", None: "w"}
_VERDICTS = {letter: verdict for verdict, letter in _LETTERS.items()}
_NAME = re.compile(r"([0-9a-f]{16})/([0-9]{9})\.([0-9]{6})\.([arw])([0-5])([01])\.json")


class Review(Record):
    """One review of one item by one reader."""

    item: Number
    #: The reader: the name of an API key, or a hash of the subject of a token.
    reader: str
    #: None if the reader has withdrawn the review.
    verdict: Verdict | None = None
    grade: Grade | None = None
    flag: bool = False
    comment: str | None = None
    at: datetime
    #: The number of this review among those of the reader for this item, counted from 1. The last one counts.
    revision: int

    def mark(self) -> str:
        """Return the verdict, the grade and the flag in the form that the name of the object contains."""
        return f"{_LETTERS[self.verdict]}{self.grade or 0}{int(self.flag)}"


@dataclass(frozen=True, slots=True)
class ReviewMark:
    """What the name of a stored review says."""

    #: The id of the reader in keys (see `reader_id`).
    reader: str
    item: int
    revision: int
    verdict: Verdict | None
    grade: int | None
    flag: bool
    key: str

    @classmethod
    def of(cls, job: str, key: str) -> Self | None:
        """Return the mark in the key of a review of this job, or None if it is the key of another object."""
        named = _NAME.fullmatch(key.removeprefix(keys.reviews(job)))
        if named is None:
            return None
        reader, item, revision, letter, grade, flag = named.groups()
        return cls(reader, int(item), int(revision), _VERDICTS[letter], int(grade) or None, flag == "1", key)


#: The current reviews of a job: for each reader, by item. A withdrawn review is not among them.
Marks = dict[str, dict[int, ReviewMark]]


def reader_id(reader: str) -> str:
    """Return 16 hex digits that stand for a reader in keys."""
    return hashlib.sha256(reader.encode()).hexdigest()[:16]


def current_marks(marks: Iterable[ReviewMark]) -> Marks:
    """Return the last review of each reader for each item. `marks` are in the order of their keys."""
    current: Marks = {}
    for mark in marks:
        current.setdefault(mark.reader, {})[mark.item] = mark
    kept = {
        reader: {item: mark for item, mark in of_reader.items() if mark.verdict is not None}
        for reader, of_reader in current.items()
    }
    return {reader: of_reader for reader, of_reader in kept.items() if of_reader}
