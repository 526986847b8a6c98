"""Cells of CSV files that no spreadsheet takes for a formula."""

from typing import TypeVar

_Value = TypeVar("_Value")
#: The first characters of what spreadsheets run as a formula.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(value: _Value) -> _Value | str:
    """Return the value of a cell, with an apostrophe in front if it is text that a spreadsheet would run.

    A `custom_id`, a file name or a prompt may be any text from a caller. Numbers are returned as they are.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_BEGINNINGS) else value
