"""The items of one part of a plan, each parsed only when it is needed."""

from bisect import bisect_right
from collections.abc import Sequence

from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.storage.stored_records import parsed


class PlannedPart:
    """The planned items in `lines`, which are sorted by their first frames. `key` names the object in errors.

    To make a page of a running job, a few items from each of many parts are needed. Parsing all items of a part, up to
    1000, would take longer than all other work on the page.
    """

    def __init__(self, lines: Sequence[bytes], key: str) -> None:
        self._lines = lines
        self._key = key
        self._items: dict[int, PlannedItem] = {}

    def last_before(self, frame: int) -> PlannedItem | None:
        """Return the last item that begins at this frame or before it, or None if all items begin later.

        Raises RecordUnreadable if a line that has to be read cannot be parsed.
        """
        if not self._lines:
            return None
        guess = self._item(min(max(0, frame - self._item(0).first), len(self._lines) - 1))
        if guess.first <= frame < guess.first + guess.frames:  # as in every part in which all items have one frame
            return guess
        place = bisect_right(range(len(self._lines)), frame, key=lambda line: self._item(line).first)
        return self._item(place - 1) if place else None

    def numbered(self, item: int) -> PlannedItem | None:
        """Return the item with this number, or None if it is in another part. Raises like `last_before`."""
        place = bisect_right(range(len(self._lines)), item, key=lambda line: self._item(line).item)
        found = self._item(place - 1) if place else None
        return found if found is not None and found.item == item else None

    def _item(self, line: int) -> PlannedItem:
        if line not in self._items:
            self._items[line] = parsed(self._lines[line], PlannedItem, self._key)
        return self._items[line]
