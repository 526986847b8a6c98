"""The wire format of the endpoint: bytes, shape and dtype of requests and responses. No arrays."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pybase64

#: The canvas is CANVAS × CANVAS pixels, and so is every map of a response.
CANVAS = 1024
#: The most rows that the endpoint accepts in one request.
MAX_ROWS = 256

_HEAD = b'{"input_data": {"columns": ["image", "text"], "index": ['

Dtype = Literal["uint8", "bool", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class Row:
    """One frame on the wire: a PNG of CANVAS × CANVAS pixels (8-bit RGB or gray) and its prompts."""

    image: bytes
    prompts: tuple[str, ...]
    #: The hash for the audit log, in hex; computed where the image is made.
    image_sha256: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_sha256", hashlib.sha256(self.image).hexdigest())


@dataclass(frozen=True, slots=True)
class MapStack:
    """One map per prompt. The meaning of the values is a setting of the endpoint.

    Floats are not checked: they may be NaN.
    """

    #: C-order bytes of `shape`.
    raw: bytes
    #: (prompts, CANVAS, CANVAS).
    shape: tuple[int, int, int]
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """The endpoint's answer to one row."""

    maps: MapStack
    #: One per prompt, None where the endpoint gave none; informative, never a key.
    categories: tuple[str | None, ...]
    #: `single_quoted`, `categories_missing`, `categories_short`, `categories_long`, `categories_unreadable`.
    warnings: tuple[str, ...]


def encode_request(rows: Sequence[Row]) -> bytes:
    """Return the JSON body that scores `rows`: columns image and text, one list per row, prompts joined by ` & `.

    The base64 text is inserted as bytes, because a JSON encoder would search megabytes for characters to escape that
    they cannot contain. Raises ValueError for no rows or more than MAX_ROWS: a mistake of the caller, not of the
    endpoint.
    """
    if not 0 < len(rows) <= MAX_ROWS:
        raise ValueError(f"a request has 1 to {MAX_ROWS} rows, not {len(rows)}")
    index = ", ".join(map(str, range(len(rows)))).encode()
    return b"".join((_HEAD, index, b'], "data": [', *_rows(rows), b"]}}"))


def _rows(rows: Sequence[Row]) -> Iterator[bytes]:
    for place, row in enumerate(rows):
        text = json.dumps(" & ".join(row.prompts)).encode()
        yield b'["' if place == 0 else b', ["'
        yield pybase64.b64encode(row.image)
        yield b'", ' + text + b"]"
