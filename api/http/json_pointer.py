"""Name the place of an error in a request by a JSON pointer (RFC 6901) in its URI fragment form."""

from urllib.parse import quote

#: Names that a caller has chosen are truncated, so that a response does not repeat a whole body.
_SEGMENT_LENGTH = 64


def pointer(*segments: str | int) -> str:
    """Return a JSON pointer, for example `#/items/3/prompts/0` for ("items", 3, "prompts", 0)."""
    return "#" + "".join(f"/{_escaped(str(segment)[:_SEGMENT_LENGTH])}" for segment in segments)


def _escaped(segment: str) -> str:
    return quote(segment.replace("~", "~0").replace("/", "~1"), safe="~", errors="replace")
