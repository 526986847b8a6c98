"""JSON pointers (RFC 6901), in their URI fragment form, to the places of errors in a request."""

from urllib.parse import quote

#: The length to which names from a caller are truncated. Otherwise, a response could repeat a whole body.
_SEGMENT_LENGTH = 64


def pointer(*segments: str | int) -> str:
    """Return a JSON pointer, for example `#/items/3/prompts/0` for ("items", 3, "prompts", 0)."""
    return "#" + "".join(f"/{_escaped(str(segment)[:_SEGMENT_LENGTH])}" for segment in segments)


def _escaped(segment: str) -> str:
    return quote(segment.replace("~", "~0").replace("/", "~1"), safe="~", errors="replace")
