"""The lean answer: good ones give the whole maps, and every lie about a length, a box or a size is refused."""

import json
import struct
import tracemalloc
import zlib

import pytest

from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.lean2d import MAGIC
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from maskrelay.errors import AnswerInvalid

SIDE = 1024
ONE = (Row(b"", ("liver",)),)
TWO = (Row(b"", ("cup", "disc")),)
#: Two lines of three pixels at row 10 and column 20.
VALUES = bytes([1, 2, 3, 4, 5, 6])
BOX = [10, 20, 12, 23]
PACKED = zlib.compress(VALUES)
MAP = {"box": BOX, "encoding": "deflate", "bytes": len(PACKED)}
EMPTY = {"box": [0, 0, 0, 0], "encoding": "stored", "bytes": 0}


def whole(values=VALUES, box=BOX, width=1):
    top, left, bottom, right = box
    line = (right - left) * width
    drawn = bytearray(SIDE * SIDE * width)
    for row in range(bottom - top):
        place = ((top + row) * SIDE + left) * width
        drawn[place : place + line] = values[row * line : (row + 1) * line]
    return bytes(drawn)


def row(*maps, **changes):
    maps = maps or (MAP,)
    plain = {
        "shape": [len(maps), SIDE, SIDE],
        "dtype": "uint8",
        "maps": list(maps),
        "text_features": ["liver"] * len(maps),
    }
    return {**plain, **changes}


def body(*rows, parts=PACKED, **header):
    text = json.dumps({"version": 1, "rows": list(rows) or [row()], **header}).encode()
    return MAGIC + struct.pack(">I", len(text)) + text + parts


def refused(content, rows=ONE, **limits):
    with pytest.raises(AnswerInvalid) as caught:
        parse_lean_answer(content, rows, **limits)
    assert caught.value.raw == content
    return caught.value.kind


def test_a_map_is_put_back_where_its_box_lies():
    [read] = parse_lean_answer(body(), ONE)
    assert bytes(read.maps.raw) == whole()
    assert (read.maps.shape, read.maps.dtype, read.categories, read.warnings) == (
        (1, SIDE, SIDE),
        "uint8",
        ("liver",),
        (),
    )


def test_rows_and_maps_come_in_order():
    stored = {"box": BOX, "encoding": "stored", "bytes": 6}
    both = row(MAP, EMPTY)
    read = parse_lean_answer(body(both, row(stored), parts=PACKED + VALUES), (*TWO, *ONE))
    assert bytes(read[0].maps.raw) == whole() + bytes(SIDE * SIDE)
    assert bytes(read[1].maps.raw) == whole()


def test_a_whole_map_of_floats_keeps_every_bit():
    values = bytes(range(256)) * (SIDE * SIDE * 4 // 256)
    packed = zlib.compress(values)
    described = row({"box": [0, 0, SIDE, SIDE], "encoding": "deflate", "bytes": len(packed)}, dtype="float32")
    [read] = parse_lean_answer(body(described, parts=packed), ONE)
    assert (bytes(read.maps.raw), read.maps.dtype) == (values, "float32")


def test_a_shape_of_two_dimensions_is_extended():
    assert parse_lean_answer(body(row(shape=[SIDE, SIDE])), ONE)[0].maps.shape == (1, SIDE, SIDE)


@pytest.mark.parametrize(("words", "warning"), [(None, "categories_missing"), (["a", "b"], "categories_long")])
def test_categories_are_read_as_in_the_articles_form(words, warning):
    assert parse_lean_answer(body(row(text_features=words)), ONE)[0].warnings == (warning,)


def test_an_answer_in_the_articles_form_is_read_as_such():
    with pytest.raises(AnswerInvalid) as caught:
        parse_lean_answer(b"[]", ONE)
    assert caught.value.kind == "row_count"


def changed(**changes):
    return body(row({**MAP, **changes}))


HOSTILE = {
    "only the magic": (MAGIC, "header"),
    "a header longer than the answer": (MAGIC + struct.pack(">I", 1 << 19) + b"{}", "header"),
    "a header of 4 GB": (MAGIC + b"\xff\xff\xff\xff{}", "header"),
    "a header that is not JSON": (MAGIC + struct.pack(">I", 2) + b"{!", "header"),
    "a header nested too deeply": (MAGIC + struct.pack(">I", 200_000) + b"[" * 200_000, "header"),
    "another version": (body(version=2), "header"),
    "rows that are no list": (body(rows={}), "header"),
    "a row too many": (body(row(), row(), parts=PACKED * 2), "row_count"),
    "a row that is no object": (body(7), "not_an_object"),
    "an unknown dtype": (body(row(dtype="int64")), "dtype"),
    "a dtype that is a list": (body(row(dtype=["uint8"])), "dtype"),
    "another canvas": (body(row(shape=[1, 512, 512])), "shape"),
    "a map too many": (body(row(MAP, EMPTY)), "map_count"),
    "maps that are fewer than the shape says": (body(row(maps=[])), "map_count"),
    "a map that is no object": (body(row(maps=[3])), "size"),
    "a negative length": (changed(bytes=-1), "size"),
    "a length beyond the answer": (changed(bytes=1 << 40), "size"),
    "a length that is true": (changed(bytes=True), "size"),
    "a box outside the canvas": (changed(box=[10, 20, 12, 1025]), "box"),
    "a box turned around": (changed(box=[12, 20, 10, 23]), "box"),
    "a box of three numbers": (changed(box=[1, 2, 3]), "box"),
    "a box of fractions": (changed(box=[10.0, 20, 12, 23]), "box"),
    "a larger box than the values": (changed(box=[10, 20, 12, 24]), "size"),
    "a smaller box than the values": (changed(box=[10, 20, 11, 23]), "size"),
    "an unknown encoding": (changed(encoding="pickle"), "encoding"),
    "stored values of another length": (changed(encoding="stored"), "size"),
    "a deflate stream that is damaged": (body(parts=b"\x00" * len(PACKED)), "size"),
    "a deflate stream that ends early": (body(row({**MAP, "bytes": len(PACKED) - 2}), parts=PACKED[:-2]), "size"),
    "bytes behind the deflate stream": (body(row({**MAP, "bytes": len(PACKED) + 1}), parts=PACKED + b"x"), "size"),
    "bytes behind the last map": (body(parts=PACKED + b"x"), "size"),
    "a bool of 2": (body(row(dtype="bool")), "bool"),
}


@pytest.mark.parametrize(("content", "kind"), HOSTILE.values(), ids=HOSTILE)
def test_a_wrong_answer_is_refused_with_its_kind(content, kind):
    assert refused(content) == kind


def test_an_answer_over_the_cap_is_refused():
    assert refused(body(), max_bytes=20) == "too_large"


def test_maps_that_would_unpack_beyond_the_cap_are_refused():
    assert refused(body(), max_bytes=SIDE * SIDE - 1) == "too_large"


def test_a_deflate_bomb_is_not_unpacked():
    bomb = zlib.compress(bytes(256 << 20), 9)
    content = changed(bytes=len(bomb))[: -len(PACKED)] + bomb
    tracemalloc.start()
    try:
        assert refused(content) == "size"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
