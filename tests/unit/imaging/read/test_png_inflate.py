"""A PNG with its pixels inflated: the same to Pillow in every way, also where it is damaged."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from maskrelay.imaging.read import png_inflate as module
from maskrelay.imaging.read.png_inflate import stored_png
from tests.support.builders.pictures import (
    gradient,
    noise,
    png16,
    saved,
)

FILES = {
    "1": saved(gradient().convert("1"), "PNG"),
    "L": saved(gradient().convert("L"), "PNG"),
    "LA": saved(gradient().convert("LA"), "PNG"),
    "P": saved(gradient().convert("P"), "PNG"),
    "RGB": saved(gradient(), "PNG"),
    "RGBA": saved(gradient().convert("RGBA"), "PNG"),
    "16 bits of gray": saved(Image.fromarray(noise(40, 30)[..., 0].astype(np.uint16) * 257), "PNG"),
    "16 bits of colour": png16(noise(40, 30).astype(np.uint16) * 257),
    "more than a block": saved(Image.fromarray(noise(300, 300)), "PNG"),
}


def seen(file: bytes) -> Any:
    """What Pillow makes of it: mode and pixels, or the kind of its error."""
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(file))
        return image.mode, image.tobytes()
    except Exception as error:
        return type(error)


def streams(file: bytes) -> bytes:
    """The bytes of all IDAT chunks."""
    at, found = 8, b""
    while at < len(file):
        (length,) = struct.unpack_from(">I", file, at)
        found += file[at + 8 : at + 8 + length] if file[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + length
    return found


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_is_the_same_picture_with_nothing_left_to_inflate(kind: str) -> None:
    file, stored = FILES[kind], stored_png(FILES[kind])
    assert seen(stored) == seen(file)
    pixels = zlib.decompress(streams(file))
    assert zlib.decompress(streams(stored)) == pixels
    assert len(streams(stored)) == len(pixels) + 5 * -(-len(pixels) // 0xFFFF) + 6


def test_what_stands_before_and_behind_the_pixels_is_kept() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Title", "before")
    file = saved(gradient(), "PNG", pnginfo=about, dpi=(72, 72))
    (end,) = (at for at in range(len(file)) if file[at : at + 4] == b"IEND")
    text = b"tEXtComment\0behind"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    image = PngImagePlugin.PngImageFile(io.BytesIO(stored_png(file[: end - 4] + chunk + file[end - 4 :])))
    image.load()
    assert image.info["dpi"] == pytest.approx((72, 72), abs=0.1)
    assert (image.text["Title"], image.text["Comment"]) == ("before", "behind")


@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_to_pillow_what_it_was(kind: str, data: st.DataObject) -> None:
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(0, 3))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))]) if data.draw(st.booleans()) else bytes(file)
    assert seen(stored_png(cut)) == seen(cut)


@pytest.mark.parametrize("more", [b"x", b""])
def test_a_stream_of_another_length_than_the_picture_stays_as_it_is(more: bytes) -> None:
    pixels = zlib.decompress(streams(FILES["L"]))
    pixels = pixels + more if more else pixels[:-1]
    body = b"IDAT" + zlib.compress(pixels)
    file = FILES["L"][:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert stored_png(file) is file


def test_interlaced_large_and_other_files_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    head = FILES["L"][12:28] + b"\1"
    interlaced = FILES["L"][:12] + head + struct.pack(">I", zlib.crc32(head)) + FILES["L"][33:]
    for file in (interlaced, saved(gradient(), "JPEG"), b""):
        assert stored_png(file) is file
    monkeypatch.setattr(module, "_MOST_BYTES", 30 * 41 - 1)
    assert stored_png(FILES["L"]) is FILES["L"]
    monkeypatch.setattr(module, "_MOST_BYTES", 30 * 41)
    assert stored_png(FILES["L"]) is not FILES["L"]
