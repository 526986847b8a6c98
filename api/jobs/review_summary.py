"""The summary of a job's reviews: counts by reader, the agreement of readers, and the error rate of unflagged items."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations

from api.dependencies import Dependencies
from api.jobs.lookup import JobSnapshot
from api.jobs.stored_reviews import names_of, read_marks, visible_marks
from api.jobs.unflagged_sample import unflagged_sample
from maskrelay.contract.records.reviews import Marks, ReviewMark, reader_id
from maskrelay.contract.views.review_views import Agreement, ReaderCounts, ReviewSummary, Sample, SampleCounts
from maskrelay.rules.agreement import cohens_kappa, error_interval


def summary(dependencies: Dependencies, known: JobSnapshot, reader: str, size: int) -> ReviewSummary:
    """Return the summary for this reader. `size` is the size of the random sample.

    Of other readers, only the reviews that this reader may see are counted. Otherwise the counts of a small sample, or
    their difference before and after a review, would tell the verdict on an item that this reader has not judged yet.
    """
    every, own = read_marks(dependencies, known.id), reader_id(reader)
    marks = visible_marks(every, own)
    names = names_of(dependencies, marks, marks)
    sample = None
    if known.result is not None:
        sample = unflagged_sample(dependencies, known.result, size)
    return ReviewSummary(
        items=known.counts().total,
        reviewed=len({item for of_reader in every.values() for item in of_reader}),
        readers=[
            _counts(names[id_], marks[id_], sample, you=id_ == own) for id_ in sorted(marks, key=lambda id_: names[id_])
        ],
        agreement=list(_agreements(marks, names)),
        sample=Sample(size=len(sample), items=list(sample)) if sample is not None else None,
    )


def _counts(name: str, reviews: Mapping[int, ReviewMark], sample: tuple[int, ...] | None, *, you: bool) -> ReaderCounts:
    verdicts = Counter(review.verdict for review in reviews.values())
    grades = Counter(str(review.grade) for review in reviews.values() if review.grade is not None)
    return ReaderCounts(
        reader=name,
        you=you,
        accepted=verdicts["accept"],
        rejected=verdicts["reject"],
        flagged=sum(review.flag for review in reviews.values()),
        grades=dict(sorted(grades.items())),
        sample=_of_sample([reviews[item] for item in sample if item in reviews]) if sample is not None else None,
    )


def _of_sample(reviews: list[ReviewMark]) -> SampleCounts:
    reviewed, rejected = len(reviews), sum(review.verdict == "reject" for review in reviews)
    if not reviewed:
        return SampleCounts(reviewed=0, rejected=0, error_rate=None, interval=None)
    return SampleCounts(
        reviewed=reviewed,
        rejected=rejected,
        error_rate=rejected / reviewed,
        interval=error_interval(rejected, reviewed),
    )


def _agreements(marks: Marks, names: Mapping[str, str]) -> Iterator[Agreement]:
    for first, second in combinations(sorted(marks, key=lambda reader: names[reader]), 2):
        both = sorted(marks[first].keys() & marks[second].keys())
        if not both:
            continue
        pairs = [(marks[first][item].verdict == "accept", marks[second][item].verdict == "accept") for item in both]
        observed, kappa = cohens_kappa(pairs)
        yield Agreement(readers=(names[first], names[second]), items=len(both), observed=observed, kappa=kappa)
