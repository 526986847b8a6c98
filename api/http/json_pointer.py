"""Locate an error in a request: JSON pointers (RFC 6901) in their URI fragment form."""

from urllib.parse import quote

#: Names chosen by a caller are truncated, so that a response does not echo a body.
_SEGMENT_LENGTH = 64


def pointer(*segments: str | int) -> str:
    """Return a JSON pointer: `#/items/3/prompts/0` for ("items", 3, "prompts", 0)."""
    return "#" + "".join(f"/{_escaped(str(segment)[:_SEGMENT_LENGTH])}" for segment in segments)


def _escaped(segment: str) -> str:
    return quote(segment.replace("~", "~0").replace("/", "~1"), safe="~", errors="replace")
