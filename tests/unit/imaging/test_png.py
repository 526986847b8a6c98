import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskrelay.imaging.png import gray_as_rgb_png, part_png, png, write_rgb_png
from tests.support.builders.pictures import noise


def opened(file: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    image.load()
    return np.asarray(image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 1), (1, 7), (33, 20)])
def test_another_reader_finds_the_very_pixels(size: tuple[int, int], channels: int):
    pixels = noise(*size, channels=channels)
    assert np.array_equal(opened(png(pixels)), pixels)


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.data())
def test_a_part_alone_makes_the_very_file_of_its_frame(size, data):
    starts = [data.draw(st.integers(0, side - 1)) for side in size]
    window = tuple(slice(at, data.draw(st.integers(at + 1, side))) for at, side in zip(starts, size, strict=True))
    frame = np.zeros(size, np.uint8)
    frame[window] = noise(9, 9, channels=1)[window]
    assert part_png(frame[window], window, size) == png(frame)


def test_gray_written_as_rgb_is_the_gray_three_times():
    gray = noise(33, 20, channels=1)
    assert np.array_equal(opened(gray_as_rgb_png(gray)), np.stack([gray] * 3, axis=2))


@pytest.mark.parametrize("heights", [[20], [1, 19], [7, 6, 7], [1] * 20])
def test_bands_written_one_after_the_other_are_one_picture(heights: list[int]):
    pixels = noise(33, 20, channels=3)
    out = io.BytesIO()
    write_rgb_png(out, 33, 20, np.split(pixels, np.cumsum(heights)[:-1]))
    assert np.array_equal(opened(out.getvalue()), pixels)
