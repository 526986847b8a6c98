"""The wire format of the endpoint: bytes, shape and dtype of requests and responses. No arrays."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pybase64

#: The canvas is CANVAS × CANVAS pixels; so is every map in an answer.
CANVAS = 1024
#: The endpoint takes no more rows in one request.
MAX_ROWS = 256

_HEAD = b'{"input_data": {"columns": ["image", "text"], "index": ['

Dtype = Literal["uint8", "bool", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class Row:
    """One frame on the wire: a PNG of CANVAS × CANVAS pixels (8-bit RGB or gray) and its prompts.

    image_sha256: what the audit log keeps of it, in hex; made where the image is, whose bytes are at hand there.
    """

    image: bytes
    prompts: tuple[str, ...]
    image_sha256: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_sha256", hashlib.sha256(self.image).hexdigest())


@dataclass(frozen=True, slots=True)
class MapStack:
    """One map per prompt: `raw` holds C-order bytes of `shape` = (prompts, CANVAS, CANVAS).

    What the values mean is a setting of the endpoint. Floats are not looked at: they can be NaN.
    """

    raw: bytes
    shape: tuple[int, int, int]
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What the endpoint answered for one row.

    categories: one per prompt, None where the endpoint named none; informative, never a key.
    warnings: `single_quoted`, `categories_missing`, `categories_short`, `categories_long`,
    `categories_unreadable`.
    """

    maps: MapStack
    categories: tuple[str | None, ...]
    warnings: tuple[str, ...]


def encode_request(rows: Sequence[Row]) -> bytes:
    """The JSON body that scores `rows`: columns image and text, one list a row, prompts joined by ` & `.

    The base64 text is spliced in as bytes: a JSON encoder would look for characters to escape in megabytes
    that have none. Raises ValueError for no rows or more than MAX_ROWS: the caller's slip, not the endpoint's.
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
