"""The visible outcomes of a job that has no result yet: what its parts say, without the lines that were refused."""

from collections.abc import Iterator, Sequence

from api.known import Known
from api.service import Service
from maskrelay.contract.lines import ItemLine, item_line
from maskrelay.contract.outcomes import Outcome

Listed = Sequence[tuple[str, frozenset[int]]]


def listed_parts(service: Service, known: Known) -> Listed:
    """The job's parts in the order they were settled, each with its refused frames.

    Where the ledger lacks the job, what storage holds in the order of names; nothing is refused then.
    """
    if known.record is not None:
        return service.ledger.jobs.parts(known.id)
    return [(name, frozenset()) for name in service.archive.parts(known.id)]


def visible_in(outcomes: Sequence[Outcome], refused: frozenset[int], seen: set[int]) -> Iterator[tuple[int, Outcome]]:
    """The lines of a part that count, with their places; `seen` are frames shown before and grows."""
    for place, outcome in enumerate(outcomes):
        if outcome.frame not in refused and outcome.frame not in seen:
            seen.add(outcome.frame)
            yield place, outcome


def visible_outcome(service: Service, known: Known, frame: int) -> Outcome | None:
    """The visible outcome of one frame."""
    for name, refused in listed_parts(service, known):
        if frame not in refused and frame in service.archive.frames(known.id, name):
            outcomes = service.archive.outcomes(known.id, name)
            return next((outcome for outcome in outcomes if outcome.frame == frame), None)
    return None


def one_frame_line(service: Service, known: Known, outcome: Outcome) -> ItemLine:
    """An item that is one frame, complete with it."""
    item = service.archive.item(known.submission, outcome.item)
    return item_line(outcome.item, item.custom_id, item.source_name, (outcome,))
