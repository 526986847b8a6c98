"""The random sample of a finished job's items without a flag, from which the rate of unnoticed errors is estimated."""

from collections.abc import Iterator, Sequence

from api.dependencies import Dependencies
from api.jobs.item_order import lines_of_numbers, unflagged_numbers
from maskrelay.contract.records.job import Result
from maskrelay.rules.agreement import sample_order

#: The largest sample.
MOST = 500
#: The number of items that are read at a time to find those that have masks.
_PAGE = 50


def unflagged_sample(dependencies: Dependencies, result: Result, size: int) -> tuple[int, ...]:
    """Return the numbers of at most `size` items that have masks and no flag, in the order of the sample."""
    unflagged = unflagged_numbers(dependencies, result)
    without_masks = result.counts.failed + result.counts.cancelled
    if not without_masks:
        return tuple(sample_order(result.job, unflagged, size))
    return tuple(_with_masks(dependencies, result, sample_order(result.job, unflagged, size + without_masks), size))


def _with_masks(dependencies: Dependencies, result: Result, order: Sequence[int], size: int) -> Iterator[int]:
    found = 0
    for first in range(0, len(order), _PAGE):
        page = order[first : first + _PAGE]
        for line in lines_of_numbers(dependencies, result, page):
            if line.state in {"succeeded", "partial"}:
                yield line.item
                found += 1
                if found == size:
                    return
