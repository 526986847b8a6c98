"""Reviews in storage: writing a review, and reading those that a reader may see.

A reader sees other readers' reviews of an item only after reviewing this item too, so that the second reader is not
influenced by the first.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from api.dependencies import Dependencies, side_by_side
from maskrelay.contract.records import keys
from maskrelay.contract.records.reviews import Marks, Review, ReviewMark, current_marks, reader_id
from maskrelay.contract.views.review_views import ItemReviews, ReviewAsked, ReviewShown
from maskrelay.errors import Gone
from maskrelay.storage.stored_records import read_record, record_body


def write_review(dependencies: Dependencies, job: str, item: int, reader: str, asked: ReviewAsked) -> Review:
    """Store a new revision of the reader's review. Raises Gone if the job was deleted meanwhile."""
    revisions = _revisions(dependencies, job, item, reader)
    review = Review(
        item=item,
        reader=reader,
        at=datetime.now(UTC),
        revision=1 + max((mark.revision for mark in revisions), default=0),
        **asked.model_dump(),
    )
    key = keys.review(job, reader_id(reader), item, review.revision, review.mark())
    dependencies.storage.put(key, record_body(review), "application/json")
    if dependencies.archive.has(keys.gone(job)):  # the objects of the job may have been removed before
        dependencies.storage.delete(key)
        raise Gone
    return review


def read_marks(dependencies: Dependencies, job: str) -> Marks:
    """Return the current reviews of a job, without their comments. They are found by one listing."""
    found = (ReviewMark.of(job, key) for key in dependencies.storage.list(keys.reviews(job)))
    return current_marks(mark for mark in found if mark is not None)


def read_reviews(dependencies: Dependencies, job: str, item: int, reader: str) -> ItemReviews:
    """Return the reviews of an item that the reader may see, with their comments."""
    marks, own = read_marks(dependencies, job), reader_id(reader)
    others = [marks[other][item] for other in visible_readers(marks, own, item)]
    history = _read(dependencies, _revisions(dependencies, job, item, reader))
    current = history[-1] if item in marks.get(own, {}) else None
    return ItemReviews(review=current, reviews=_read(dependencies, others), history=history)


def visible_readers(marks: Marks, own: str, item: int) -> list[str]:
    """Return the other readers whose reviews of the item a reader with the id `own` may see."""
    if item not in marks.get(own, {}):
        return []
    return sorted(reader for reader in marks if reader != own and item in marks[reader])


def visible_marks(marks: Marks, own: str) -> Marks:
    """Return the reviews that a reader with the id `own` may see, without readers of whom he may see none."""
    judged = marks.get(own, {})
    visible = {
        reader: {item: mark for item, mark in of_reader.items() if item in judged}
        for reader, of_reader in marks.items()
    }
    return {reader: of_reader for reader, of_reader in visible.items() if of_reader}


def names_of(dependencies: Dependencies, marks: Marks, readers: Iterable[str]) -> dict[str, str]:
    """Return the names of these readers by their ids. One review of each reader is read."""
    known = {reader: next(iter(marks[reader].values())).key for reader in readers}
    names = side_by_side(lambda key: read_record(dependencies.storage, key, Review).reader, list(known.values()))
    return dict(zip(known, names, strict=True))


def _revisions(dependencies: Dependencies, job: str, item: int, reader: str) -> Sequence[ReviewMark]:
    prefix = keys.reviews_of_item(job, reader_id(reader), item)
    found = (ReviewMark.of(job, key) for key in dependencies.storage.list(prefix))
    return [mark for mark in found if mark is not None]


def _read(dependencies: Dependencies, marks: Sequence[ReviewMark]) -> list[ReviewShown]:
    reviews = side_by_side(lambda mark: read_record(dependencies.storage, mark.key, Review), marks)
    return [review_shown(review) for review in reviews]


def review_shown(review: Review) -> ReviewShown:
    return ReviewShown(**review.model_dump(include=set(ReviewShown.model_fields)))
