"""A chunk ends after its usual number of items, but not between neighbours that may belong to one series."""

from typing import Any

import pytest

from maskrelay.contract.records.job import Item
from maskrelay.rules.run_chunks import CHUNK_ITEMS, MOST_ITEMS, is_full, may_end_before


def item(source: str = "uploads/north/a", **more: Any) -> Item:
    return Item(**{"source": source, "size": 1, "sha256": "", "custom_id": "a", "prompts": ("a",), **more})


STILL, DICOM, ZIP = item(), item(kind="dicom"), item(kind="zip")
HERE, THERE = item("s3://bucket/series 1/1"), item("s3://bucket/series 2/1.dcm")


@pytest.mark.parametrize(
    ("held", "count", "following", "full"),
    [
        pytest.param(STILL, CHUNK_ITEMS - 1, STILL, False, id="not yet"),
        pytest.param(STILL, CHUNK_ITEMS, STILL, True, id="images"),
        pytest.param(DICOM, CHUNK_ITEMS, DICOM, False, id="a series"),
        pytest.param(DICOM, CHUNK_ITEMS, STILL, True, id="after a series"),
        pytest.param(DICOM, MOST_ITEMS, DICOM, True, id="an endless series"),
        pytest.param(HERE, CHUNK_ITEMS, HERE, False, id="one folder"),
        pytest.param(HERE, CHUNK_ITEMS, THERE, True, id="two folders"),
        pytest.param(
            item("s3://bucket/a/1.PNG"), CHUNK_ITEMS, item("s3://bucket/a/2.PNG"), True, id="one folder of images"
        ),
        pytest.param(ZIP, 10, ZIP, True, id="archives"),
        pytest.param(ZIP, 9, ZIP, False, id="a few archives"),
    ],
)
def test_where_a_chunk_ends(held: Item, count: int, following: Item, full: bool) -> None:
    assert is_full([held] * count, 0, following) is full


def test_a_chunk_without_items_ends_after_as_many_rejected_lines() -> None:
    assert not is_full([], CHUNK_ITEMS - 1, STILL)
    assert is_full([], CHUNK_ITEMS, STILL)


def test_a_chunk_does_not_end_before_an_object_in_the_folder_of_its_last_item() -> None:
    assert may_end_before(item("s3://bucket/a/1.png"), "s3://bucket/a/2.txt")
    assert may_end_before(HERE, "s3://bucket/series 2/1.txt")
    assert not may_end_before(HERE, "s3://bucket/series 1/1.txt")
