"""The wire format of the 2-D model: the encoder of requests, and the classes for requests and responses."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pybase64

#: The size of the canvas and of every map in a response is CANVAS × CANVAS pixels.
CANVAS = 1024
#: The largest number of rows that the endpoint accepts in one request.
MAX_ROWS = 256

_HEAD = b'{"input_data": {"columns": ["image", "text"], "index": ['

Dtype = Literal["uint8", "bool", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class Row:
    """One frame in a request: a PNG file of CANVAS × CANVAS pixels (8-bit RGB or gray), and its prompts."""

    image: bytes
    prompts: tuple[str, ...]
    #: The hash of the image for the audit log, as hex digits. It is computed when the row is created.
    image_sha256: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_sha256", hashlib.sha256(self.image).hexdigest())


@dataclass(frozen=True, slots=True)
class MapStack:
    """One map for each prompt. The meaning of the values is a setting of the endpoint.

    The values are not checked. Floats may be NaN.
    """

    #: The bytes of an array with this shape and dtype, in C order.
    raw: bytes
    #: (prompts, CANVAS, CANVAS).
    shape: tuple[int, int, int]
    dtype: Dtype


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """The endpoint's answer to one row."""

    maps: MapStack
    #: One category for each prompt, or None if the endpoint returned no category for the prompt. A map belongs to the
    #: prompt at the same position, whatever its category is.
    categories: tuple[str | None, ...]
    #: Any of `single_quoted`, `categories_missing`, `categories_short`, `categories_long`, `categories_unreadable`.
    warnings: tuple[str, ...]


def encode_request(rows: Sequence[Row]) -> bytes:
    """Return the JSON body of the request that scores `rows`.

    The body has the columns `image` and `text`, and a list for each row. The prompts of a row are joined by ` & `. The
    images are inserted as base64 without the JSON encoder, because it would search megabytes for characters to escape,
    and base64 contains none. Raises ValueError if there are no rows, or more than MAX_ROWS. This would be a bug in the
    calling code, and not an error of the endpoint.
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
