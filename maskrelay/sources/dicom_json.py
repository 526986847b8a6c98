"""Values in DICOM JSON (DICOM PS3.18, annex F)."""

from typing import Any


def first_value(dataset: Any, tag: str) -> str | int | None:
    """Return the first value of an attribute if it is a text or a whole number, otherwise None.

    `dataset` comes from another program, so it can be anything that JSON can contain.
    """
    try:
        value = dataset[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return None
    return value if isinstance(value, str | int) else None
