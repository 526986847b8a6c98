"""A cursor says where the next page begins, and only what this service gave out is accepted as one."""

import re

import pytest

from api.http.pagination import cursor_of, places_of
from maskrelay.errors import Malformed

KINDS = {"items": re.compile(r"\d+\.\d+"), "jobs": re.compile(r"\d+")}


def test_a_cursor_brings_its_kind_and_place_back() -> None:
    assert places_of(cursor_of("items", "12.7"), KINDS) == ("items", ["12", "7"])
    assert places_of(cursor_of("jobs", "3"), KINDS) == ("jobs", ["3"])


@pytest.mark.parametrize(
    "cursor",
    ["", "!", "é", "aXRlbXM", cursor_of("frames", "1"), cursor_of("items", "1"), cursor_of("jobs", "1.2"), "=" * 8],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as refused:
        places_of(cursor, KINDS)
    assert refused.value.pointer == "#/query/cursor"
