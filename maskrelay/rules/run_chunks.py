"""The rule that divides the items of a run into chunks.

A chunk is planned as a whole, and the DICOM objects of a series become one item only if they are in the same chunk.
"""

from collections.abc import Sequence

from maskrelay.contract.records.job import Item

#: The usual number of items, or of rejected lines, in a chunk.
CHUNK_ITEMS = 1000
#: The largest number of items of a chunk, even if it ends within a folder.
MOST_ITEMS = 20_000
#: The number of items that a zip archive counts for, because it contains many.
_ZIP_ITEMS = 100
#: The endings of the names of files that are an item each. Any other file may belong to a series.
_SINGLE = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".nii", ".nii.gz", ".zip")


def is_full(items: Sequence[Item], rejected: int, following: Item) -> bool:
    """Return whether a chunk with these items and this number of rejected lines ends before the item `following`.

    It does not end between two items that may belong to the same series, unless it has MOST_ITEMS items.
    """
    if not items:
        return rejected >= CHUNK_ITEMS
    if len(items) >= MOST_ITEMS:
        return True
    weight = len(items)
    if items[0].kind == "zip":
        weight = sum(_ZIP_ITEMS if item.kind == "zip" else 1 for item in items)
    if max(weight, rejected) < CHUNK_ITEMS:
        return False
    series = _series_of(items[-1])
    return series is None or series != _series_of(following)


def may_end_before(last: Item, url: str) -> bool:
    """Return whether a chunk with the item `last` may end before the object `url`, which is listed after it."""
    series = _series_of(last)
    return series is None or series != url.rpartition("/")[0]


def _series_of(item: Item) -> str | None:
    """Return a text that is equal for neighbouring items that may belong to one series.

    Return None for an item that belongs to none.
    """
    if "://" not in item.source:
        return item.kind if item.kind == "dicom" else None
    if item.source.lower().endswith(_SINGLE):
        return None
    return item.source.rpartition("/")[0]
