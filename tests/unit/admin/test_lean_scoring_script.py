"""The scoring script of the lean deployment: what the model gets, and that packing loses nothing."""

import base64
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.contract.wire.lean2d_answer import parse_lean_answer
from tests.support.lean_script import lean_script

SIDE = 1024
SCRIPT = lean_script()
RNG = np.random.default_rng(5)


def features(maps, **changes):
    said = {"data": base64.b64encode(maps.tobytes()).decode(), "shape": list(maps.shape), "dtype": str(maps.dtype)}
    return {**said, **changes}


def answer(maps, **changes):
    return {"image_features": json.dumps(features(maps, **changes)), "text_features": ["liver"] * len(maps)}


def noise(dtype):
    maps = np.zeros((2, SIDE, SIDE), dtype)
    maps[1, 100:300, 7:900] = (RNG.random((200, 893)) * (1 if np.dtype(dtype).kind == "f" else 255)).astype(dtype)
    return maps


def odd_floats(dtype):
    """Values that compare as zero, or not at all."""
    maps = np.zeros((1, SIDE, SIDE), dtype)
    maps[0, 5, 6], maps[0, 900, 1023], maps[0, 0, 0] = -0.0, np.nan, np.inf
    return maps


MAPS = {
    "uint8": noise(np.uint8),
    "bool": noise(np.bool_),
    "float16": noise(np.float16),
    "float32": noise(np.float32),
    "odd float16": odd_floats(np.float16),
    "odd float32": odd_floats(np.float32),
    "nothing found": np.zeros((1, SIDE, SIDE), np.uint8),
    "everything found": np.full((1, SIDE, SIDE), 255, np.uint8),
    "one corner": np.pad(np.ones((1, 1, 1), np.uint8), ((0, 0), (1023, 0), (1023, 0))),
    "what does not compress": RNG.integers(0, 256, (1, SIDE, SIDE), np.uint8),
}


@pytest.mark.parametrize("maps", MAPS.values(), ids=MAPS)
def test_a_packed_answer_reads_as_the_stock_answer_bit_for_bit(maps):
    rows = (Row(b"", ("a prompt",) * len(maps)),)
    [stock] = parse_answer(json.dumps([answer(maps)]).encode(), rows)
    packed = SCRIPT.packed_answer([answer(maps)])
    assert packed is not None
    [lean] = parse_lean_answer(packed, rows)
    assert bytes(lean.maps.raw) == stock.maps.raw == maps.tobytes()
    assert (lean.maps.shape, lean.maps.dtype, lean.categories, lean.warnings) == (
        stock.maps.shape, stock.maps.dtype, stock.categories, stock.warnings,
    )  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"nifti_file": "{}"},
        {"image_features": "not JSON"},
        answer(MAPS["uint8"], dtype="int64"),
        answer(MAPS["uint8"], shape=[2, SIDE, SIDE - 1]),
        answer(MAPS["uint8"], shape=[0]),
        answer(MAPS["uint8"], data="%%%"),
        {"image_features": features(MAPS["uint8"]), "text_features": {1, 2}},
        "a text",
    ],
)
def test_an_answer_of_another_form_is_not_packed(odd):
    assert SCRIPT.packed_answer([odd]) is None


def encoded(mode, kind, **options):
    pixels = RNG.integers(0, 256, (SIDE, SIDE) if mode == "L" else (SIDE, SIDE, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return pixels, out.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("kind", "options"), [("png", {"compress_level": 1}), ("webp", {"lossless": True, "method": 0, "quality": 0})]
)
def test_the_model_gets_an_rgb_png_of_the_same_pixels(mode, kind, options):
    pixels, image = encoded(mode, kind, **options)
    png = SCRIPT.rgb_png(image, kind, 0)
    assert png.endswith(b"\0\0\0\0IEND\xaeB`\x82")
    read = Image.open(io.BytesIO(png))
    assert (read.format, read.mode) == ("PNG", "RGB")
    same = pixels if mode == "RGB" else np.repeat(pixels[:, :, None], 3, axis=2)
    assert np.array_equal(np.asarray(read), same)


@pytest.mark.parametrize(
    ("accept", "lean", "expected"),
    [
        (None, True, True),
        (None, False, False),
        ("*/*", True, True),
        ("application/json", True, False),
        ("application/vnd.maskrelay.lean2d; version=1, application/json", False, True),
        ('application/json, Application/VND.maskrelay.lean2d;version="1";q=0.5', False, True),
        ("application/vnd.maskrelay.lean2d", False, True),
        ("application/vnd.maskrelay.lean2d; version=2, application/json", True, False),
    ],
)
def test_accept_names_the_form_of_the_answer(accept, lean, expected):
    assert SCRIPT.accepted(accept, lean=lean) is expected


def test_a_lean_request_that_accepts_neither_form_is_refused():
    for accept in (
        "text/html",
        "application/vnd.maskrelay.lean2d; version=2",
        "application/vnd.maskrelay.lean2d;version=x",
    ):
        with pytest.raises(SCRIPT.Refused) as caught:
            SCRIPT.accepted(accept, lean=True)
        assert (caught.value.status, caught.value.code) == (406, "not_acceptable")


def test_the_model_lies_in_the_only_folder_with_an_mlmodel(tmp_path):
    folder = tmp_path / "MedImageParse" / "10" / "a folder"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    assert SCRIPT.model_folder(str(tmp_path)) == os.fspath(folder)
    with pytest.raises(FileNotFoundError):
        SCRIPT.model_folder(str(tmp_path / "MedImageParse" / "9"))


def test_tables_and_arrays_of_the_model_become_json_values():
    class Table:
        def to_dict(self, orient):
            return [orient]

    assert SCRIPT.plain(Table()) == ["records"]
    assert SCRIPT.plain(np.arange(3)) == [0, 1, 2]
    assert SCRIPT.plain([{"a": 1}]) == [{"a": 1}]
