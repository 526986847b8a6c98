import io
import pickle
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskrelay.errors import ItemError, NotAnImage, TooManyPixels, Truncated, UnsupportedImage, ZeroSized
from maskrelay.imaging.read.picture import Picture, decode
from tests.support.builders.pictures import (
    chunk,
    files_of_every_format,
    gradient,
    noise,
    png_of,
    saved,
)

LIMIT = 1_000_000


@pytest.mark.parametrize("file", [b"hello", b"\x00" * 100, b"GIF89a" + b"\0" * 40, b"%PDF-1.7", b"<svg/>"])
def test_what_is_not_an_image_is_refused_by_name(file):
    with pytest.raises(NotAnImage):
        decode(file, max_pixels=LIMIT)


def test_a_format_outside_the_list_is_not_an_image_here():
    with pytest.raises(NotAnImage):
        decode(saved(gradient(), "GIF"), max_pixels=LIMIT)


def test_an_empty_file_is_zero_sized():
    with pytest.raises(ZeroSized):
        decode(b"", max_pixels=LIMIT)


def jpeg_without_rows() -> bytes:
    file = bytearray(saved(gradient(), "JPEG"))
    frame = file.find(b"\xff\xc0")
    file[frame + 5 : frame + 7] = b"\0\0"
    return bytes(file)


def bmp_without_columns() -> bytes:
    file = bytearray(saved(gradient(), "BMP"))
    file[18:22] = struct.pack("<I", 0)
    return bytes(file)


@pytest.mark.parametrize("file", [png_of((0, 5, 8, 0), b""), jpeg_without_rows(), bmp_without_columns()])
def test_a_picture_without_pixels_is_zero_sized(file):
    with pytest.raises(ZeroSized):
        decode(file, max_pixels=LIMIT)


@pytest.mark.parametrize("name", files_of_every_format())
@pytest.mark.parametrize("share", [0.05, 0.4, 0.7, 0.9])
def test_a_truncated_file_is_refused_by_name(name, share):
    file = files_of_every_format()[name]
    with pytest.raises(Truncated):
        decode(file[: max(40, int(len(file) * share))], max_pixels=LIMIT)


def test_too_many_pixels_are_refused_with_the_numbers():
    with pytest.raises(TooManyPixels) as refusal:
        decode(saved(gradient(40, 30), "PNG"), max_pixels=1199)
    assert "40 × 30 = 1200 pixels; at most 1199 are" in refusal.value.detail
    assert decode(saved(gradient(40, 30), "PNG"), max_pixels=1200).pixels.size == 3600


def webp_bomb() -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4 + (16_000_000).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def tiff_bomb() -> bytes:
    tags = [(256, 4, 60_000), (257, 4, 60_000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 8)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4


def bmp_bomb() -> bytes:
    file = bytearray(saved(gradient(), "BMP"))
    file[18:26] = struct.pack("<ii", 100_000, 100_000)
    return bytes(file)


BOMBS = {
    "png": png_of((200_000, 200_000, 8, 2), b"\0" * 1000),
    "webp": webp_bomb(),
    "tiff": tiff_bomb(),
    "bmp": bmp_bomb(),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_by_its_header(kind):
    with pytest.raises(TooManyPixels, match=r" = ([3-9]\d{9}|\d{11,}) pixels"):
        decode(BOMBS[kind], max_pixels=LIMIT)


def test_a_side_too_long_for_the_canvas_is_refused_though_its_pixels_are_few():
    with pytest.raises(TooManyPixels, match=r"40000 × 1 pixels; .* along a side"):
        decode(saved(Image.new("L", (40_000, 1)), "PNG"), max_pixels=LIMIT)


def test_the_limit_is_the_callers_and_not_pillows():
    tall = Image.new("1", (10_000, 9_500))  # beyond the size Pillow warns of
    assert decode(saved(tall, "PNG"), max_pixels=100_000_000).pixels.shape == (9_500, 10_000)


def test_the_settings_of_pillow_are_left_alone_and_threads_do_not_disturb_each_other():
    before = Image.MAX_IMAGE_PIXELS
    file = saved(gradient(), "PNG")
    seen: list[object] = []

    def work(limit: int) -> None:
        for _ in range(50):
            try:
                seen.append(decode(file, max_pixels=limit).pixels.shape)
            except TooManyPixels:
                seen.append(limit)

    threads = [threading.Thread(target=work, args=(limit,)) for limit in (10, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count((30, 40, 3)) == 50
    assert seen.count(10) == 50
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_several_pages_are_refused(kind):
    pages = [Image.fromarray(noise(10, 10, seed)) for seed in range(3)]
    with pytest.raises(UnsupportedImage, match="several pages"):
        decode(saved(pages[0], kind, save_all=True, append_images=pages[1:]), max_pixels=LIMIT)


def test_a_huge_text_chunk_is_refused():
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 20_000_000))
    with pytest.raises(UnsupportedImage):
        decode(png_of((1, 1, 8, 0), b"\0\0", text), max_pixels=LIMIT)


def test_kinds_of_pixels_that_are_not_read_are_refused_by_name():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ones((4, 4)))  # 64-bit float
    with pytest.raises(UnsupportedImage):
        decode(buffer.getvalue(), max_pixels=LIMIT)


def test_a_refusal_survives_pickling_and_quotes_nothing_of_the_file():
    file = saved(gradient(), "PNG")
    damaged = file.replace(b"IDAT", b"Jane", 1)
    with pytest.raises(ItemError) as refusal:
        decode(damaged, max_pixels=LIMIT)
    assert "Jane" not in str(pickle.loads(pickle.dumps(refusal.value)))
    assert "Jane" not in repr(refusal.value.__cause__)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of many kinds of damage; only the verdict counts
@pytest.mark.parametrize("name", files_of_every_format())
def test_a_mutated_file_gives_a_picture_or_a_coded_error(name):
    file = files_of_every_format()[name]
    random = np.random.default_rng(sum(name.encode()))
    verdicts = {type(verdict_of(mutated(file, random))) for _ in range(300)}
    assert verdicts
    assert all(issubclass(verdict, Picture | ItemError) for verdict in verdicts)


def mutated(file: bytes, random: np.random.Generator) -> bytes:
    damaged = bytearray(file)
    for _ in range(random.integers(1, 6)):
        # half of the damage goes where headers are
        place = int(random.integers(0, len(damaged) if random.random() < 0.5 else min(64, len(damaged))))
        match random.integers(0, 3):
            case 0:
                damaged[place] = int(random.integers(0, 256))
            case 1:
                damaged[place : place + 4] = random.bytes(4)
            case _:
                del damaged[place : place + int(random.integers(1, 9))]
    return bytes(damaged)


def verdict_of(file: bytes) -> Picture | ItemError:
    try:
        return decode(file, max_pixels=LIMIT)
    except ItemError as error:
        return error
