"""The random sample of a finished job's items without a flag, from which the rate of unnoticed errors is estimated."""

from collections.abc import Iterator, Sequence

from api.dependencies import Dependencies, side_by_side
from api.jobs.items import final_line
from maskrelay.contract.records.job import FlaggedItems, Result
from maskrelay.rules.agreement import sample_order
from maskrelay.storage.stored_records import read_records

#: The largest sample.
MOST = 500
#: The number of items that are read at a time to find those that have masks.
_PAGE = 50


def unflagged_sample(dependencies: Dependencies, result: Result, size: int) -> tuple[int, ...]:
    """Return the numbers of at most `size` items that have masks and no flag, in the order of the sample."""
    flagged = _flagged(dependencies, result)
    unflagged = (item for item in range(result.counts.total) if item not in flagged)
    without_masks = result.counts.failed + result.counts.cancelled
    if not without_masks:
        return tuple(sample_order(result.job, unflagged, size))
    return tuple(_with_masks(dependencies, result, sample_order(result.job, unflagged, size + without_masks), size))


def _flagged(dependencies: Dependencies, result: Result) -> set[int]:
    if result.flagged is None:
        return set()
    lists = read_records(dependencies.storage, result.flagged.key, FlaggedItems)
    return {item for listed in lists for item in listed.items}


def _with_masks(dependencies: Dependencies, result: Result, order: Sequence[int], size: int) -> Iterator[int]:
    found = 0
    for first in range(0, len(order), _PAGE):
        page = order[first : first + _PAGE]
        for line in side_by_side(lambda item: final_line(dependencies, result, item), page):
            if line is not None and line.state in {"succeeded", "partial"}:
                yield line.item
                found += 1
                if found == size:
                    return
