"""Which items need whole-item files, and the record of an item that has them."""

from collections.abc import Iterator

from maskrelay.contract import keys
from maskrelay.contract.outputs import OF_ITEM
from maskrelay.contract.planned import Assembled, PlannedItem
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.records import read_record
from worker.submissions import read_item_part


def needs_assembling(item: PlannedItem) -> bool:
    """Return whether the item needs whole-item files."""
    return not item.held and not OF_ITEM.isdisjoint(item.outputs)


def unassembled(storage: Storage, job: str, parts: int) -> list[tuple[int, int]]:
    """Return the items that lack their whole-item files, each with the part of the plan in which it begins."""
    wanted = [(item.item, part) for part, item in _items(storage, job, parts) if needs_assembling(item)]
    if not wanted:
        return []
    there = set(storage.list(keys.assembled(job)))
    return [(item, part) for item, part in wanted if keys.assembled_item(job, item) not in there]


def read_assembled(storage: Storage, job: str, item: PlannedItem) -> Assembled | None:
    """Return the record of the item's files; None if none were requested, or none were made (a cancelled job)."""
    if not needs_assembling(item):
        return None
    try:
        return read_record(storage, keys.assembled_item(job, item.item), Assembled)
    except ObjectMissing:
        return None


def _items(storage: Storage, job: str, parts: int) -> Iterator[tuple[int, PlannedItem]]:
    for part in range(parts):
        for item in read_item_part(storage, job, part):
            yield part, item
