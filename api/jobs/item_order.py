"""The order of the items of a job that has ended, as numbers, and the reading of their lines by number."""

import struct
from collections.abc import Iterator, Sequence

from api.dependencies import Dependencies, side_by_side
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import ANY_FLAG, FlaggedItems, Result
from maskrelay.storage.stored_records import parsed, read_records

_OFFSET = struct.Struct(">Q")


def flagged_numbers(dependencies: Dependencies, result: Result, flag: str) -> Sequence[int]:
    """Return the numbers of the items with a mask that has this flag, most suspicious first.

    ANY_FLAG means all flags. The results of earlier versions have no such list, so their lists are joined: an item
    then comes where its first list has it.
    """
    if result.flagged is None:
        return ()
    lists = read_records(dependencies.storage, result.flagged.key, FlaggedItems)
    for listed in lists:
        if listed.flag == flag:
            return listed.items
    return list(dict.fromkeys(item for listed in lists for item in listed.items)) if flag == ANY_FLAG else ()


def unflagged_numbers(dependencies: Dependencies, result: Result) -> Sequence[int]:
    """Return the numbers of the items without a flag, in ascending order."""
    flagged = set(flagged_numbers(dependencies, result, ANY_FLAG))
    return [item for item in range(result.counts.total) if item not in flagged]


def suspicious_first(dependencies: Dependencies, result: Result) -> Sequence[int]:
    """Return the numbers of all items: first those with a flag, most suspicious first, then all others."""
    return [*flagged_numbers(dependencies, result, ANY_FLAG), *unflagged_numbers(dependencies, result)]


def lines_of_numbers(dependencies: Dependencies, result: Result, numbers: Sequence[int]) -> list[ItemLine]:
    """Return the lines of the items with these numbers, in this order. Neighbouring items are read together."""
    runs = side_by_side(lambda run: _read_run(dependencies, result, run), list(_runs(numbers)))
    return [line for run in runs for line in run]


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Yield the ranges of which the numbers consist."""
    begin = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield range(numbers[begin], numbers[place - 1] + 1)
            begin = place


def _read_run(dependencies: Dependencies, result: Result, run: range) -> list[ItemLine]:
    """Return the lines of a range of items. The index object of the result gives the location of each line."""
    raw = dependencies.storage.get(result.index.key, run.start * _OFFSET.size, (len(run) + 1) * _OFFSET.size)
    offsets = [offset for (offset,) in _OFFSET.iter_unpack(raw)]
    end = offsets[len(run)] if len(offsets) > len(run) else result.items.length
    body = dependencies.storage.get(result.items.key, offsets[0], end - offsets[0])
    return [parsed(line, ItemLine, result.items.key) for line in body.splitlines()]
