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


def outcomes_of(service: Service, known: Known, listed: Listed, frames: range) -> list[Outcome]:
    """The visible outcomes of these frames among the listed parts, in order of frames."""
    found: dict[int, Outcome] = {}
    for name, refused in listed:
        if any(frame in frames for frame in service.archive.frames(known.id, name)):
            for outcome in service.archive.outcomes(known.id, name):
                if outcome.frame in frames and outcome.frame not in refused:
                    found.setdefault(outcome.frame, outcome)
    return [found[frame] for frame in sorted(found)]


def visible_outcome(service: Service, known: Known, frame: int) -> Outcome | None:
    """The visible outcome of one frame."""
    found = outcomes_of(service, known, listed_parts(service, known), range(frame, frame + 1))
    return found[0] if found else None


def line_of(service: Service, known: Known, outcomes: Sequence[Outcome]) -> ItemLine:
    """An item's line as far as these outcomes of its frames say."""
    planned = service.archive.item(known.id, outcomes[0].item, outcomes[0].frame)
    return item_line(planned, tuple(outcomes))
