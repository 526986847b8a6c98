"""The parser of a lean deployment's response.

Every length, box and size is checked before memory is allocated for it.
"""

import contextlib
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from maskrelay.contract.wire.image2d import CANVAS, MapStack, Row, RowAnswer
from maskrelay.contract.wire.image2d_answer import (
    ITEM_BYTES,
    MAX_BYTES,
    check_values,
    parse_answer,
    read_categories,
    read_shape,
    refuse,
)
from maskrelay.contract.wire.lean2d import MAGIC, MAX_HEADER, VERSION
from maskrelay.errors import AnswerInvalid

_START = len(MAGIC) + 4


def parse_lean_answer(body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int = MAX_BYTES) -> list[RowAnswer]:
    """Parse the response to `rows`, and return one answer for each row, in order.

    The response may be lean, or JSON that `parse_answer` accepts. The body, and the unpacked maps of all rows together,
    may have up to `max_bytes` bytes. Raises AnswerInvalid like `parse_answer`.
    """
    if not body.startswith(MAGIC):
        return parse_answer(body, rows, max_bytes=max_bytes)
    try:
        if len(body) > max_bytes:
            refuse("too_large", f"the answer has {len(body)} bytes; the limit is {max_bytes}")
        return _read_rows(memoryview(body), rows, max_bytes)
    except AnswerInvalid as error:
        error.raw = bytes(body)
        raise


def _read_rows(body: memoryview, rows: Sequence[Row], max_bytes: int) -> list[RowAnswer]:
    described, start = _read_header(body)
    if len(described) != len(rows):
        refuse("row_count", f"{len(described)} answers for {len(rows)} rows")
    read, left = [], max_bytes
    for place, (description, row) in enumerate(zip(described, rows, strict=True)):
        answer, start = _read_row(description, row, body, start, left, f"row {place}")
        left -= len(answer.maps.raw)
        read.append(answer)
    if start != len(body):
        refuse("size", f"{len(body) - start} bytes follow the last map")
    return read


def _read_header(body: memoryview) -> tuple[list[Any], int]:
    """Return the descriptions of the rows, and the offset of the first map."""
    if len(body) < _START:
        refuse("header", "the answer ends before its header")
    (length,) = struct.unpack(">I", body[len(MAGIC) : _START])
    if length > min(MAX_HEADER, len(body) - _START):
        refuse("header", f"the header has {length} bytes, which is more than the answer has or more than {MAX_HEADER}")
    header: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        header = json.loads(bytes(body[_START : _START + length]))
    if not isinstance(header, dict) or header.get("version") != VERSION:
        refuse("header", f"the header is not a JSON object of version {VERSION}")
    rows = header.get("rows")
    if not isinstance(rows, list):
        refuse("header", "the header has no list of rows")
    return rows, _START + length


def _read_row(described: Any, row: Row, body: memoryview, start: int, most: int, where: str) -> tuple[RowAnswer, int]:
    """Return the answer to one row, and the offset of the maps of the next row.

    The unpacked maps of the row may have up to `most` bytes.
    """
    if not isinstance(described, dict):
        refuse("not_an_object", f"{where} is not an object")
    dtype, maps = described.get("dtype"), described.get("maps")
    if dtype not in list(ITEM_BYTES):
        refuse("dtype", f"{where}.dtype is not one of {', '.join(ITEM_BYTES)}")
    shape = read_shape(described.get("shape"), len(row.prompts), f"{where}.shape")
    if not isinstance(maps, list) or len(maps) != shape[0]:
        refuse("map_count", f"{where}.maps is not a list of {shape[0]} maps")
    size = CANVAS * CANVAS * ITEM_BYTES[dtype]
    if size * len(maps) > most:
        refuse("too_large", f"{where} unpacks to {size * len(maps)} bytes, which exceeds the limit")
    unpacked = []
    for number, description in enumerate(maps):
        length = _number(description, "bytes", len(body) - start, f"{where}.maps[{number}]")
        part, start = body[start : start + length], start + length
        unpacked.append(_read_map(description, part, ITEM_BYTES[dtype], f"{where}.maps[{number}]"))
    raw = b"".join(unpacked)
    check_values(raw, dtype, where)
    categories, warnings = read_categories(described.get("text_features"), len(row.prompts))
    return RowAnswer(MapStack(raw, shape, dtype), categories, warnings), start


def _read_map(described: dict[str, Any], part: memoryview, width: int, where: str) -> bytes | bytearray:
    """Return the whole map of CANVAS × CANVAS values that have `width` bytes each."""
    top, left, bottom, right = _box(described.get("box"), where)
    line = (right - left) * width
    values = _unpacked(described.get("encoding"), part, (bottom - top) * line, where)
    if line == CANVAS * width and bottom - top == CANVAS:
        return values
    whole = bytearray(CANVAS * CANVAS * width)
    first = (top * CANVAS + left) * width
    for row in range(bottom - top):
        place = first + row * CANVAS * width
        whole[place : place + line] = values[row * line : (row + 1) * line]
    return whole


def _box(box: Any, where: str) -> tuple[int, int, int, int]:
    if not isinstance(box, list) or len(box) != 4 or any(type(side) is not int for side in box):
        refuse("box", f"{where}.box is not four whole numbers")
    top, left, bottom, right = box
    if not (0 <= top <= bottom <= CANVAS and 0 <= left <= right <= CANVAS):
        refuse("box", f"{where}.box is not inside the canvas")
    return top, left, bottom, right


def _unpacked(encoding: Any, part: memoryview, expected: int, where: str) -> bytes:
    """Return the decompressed part, which must have exactly `expected` bytes.

    At most `expected` + 1 bytes are decompressed.
    """
    if encoding == "stored":
        values = bytes(part) if len(part) == expected else None
    elif encoding == "deflate":
        values = _inflated(part, expected)
    else:
        refuse("encoding", f"{where}.encoding is neither deflate nor stored")
    if values is None:
        refuse("size", f"{where} does not unpack to the {expected} bytes of its box")
    return values


def _inflated(part: memoryview, expected: int) -> bytes | None:
    inflating = zlib.decompressobj()
    try:
        values = inflating.decompress(part, expected + 1)
    except zlib.error:
        return None
    whole = len(values) == expected and inflating.eof and not inflating.unused_data
    return values if whole else None


def _number(described: Any, name: str, most: int, where: str) -> int:
    number = described.get(name) if isinstance(described, dict) else None
    if type(number) is not int or not 0 <= number <= most:
        refuse("size", f"{where}.{name} is not a number of bytes up to the end of the answer")
    return number
