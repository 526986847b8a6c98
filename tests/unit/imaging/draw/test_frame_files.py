import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from maskrelay.imaging.draw.frame_files import PREVIEW_SIDE, mask_png, overlay_png, preview_webp, probability_png
from maskrelay.imaging.draw.palette import colour_of
from tests.support.builders.masks import mask_of
from tests.support.builders.pictures import noise


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def chunks(file: bytes) -> list[bytes]:
    """The names of a PNG's chunks."""
    names, place = [], 8
    while place < len(file):
        names.append(file[place + 4 : place + 8])
        place += 12 + int.from_bytes(file[place : place + 4], "big")
    return names


def block(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[rows, columns] = True
    return mask


def test_a_mask_is_gray_with_two_values_and_the_sources_geometry():
    mask = np.random.default_rng(0).random((37, 53)) < 0.3
    image = opened(mask_png(mask_of(mask)))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (53, 37))
    assert np.array_equal(np.asarray(image), np.where(mask, 255, 0))


def test_a_probability_map_keeps_its_values():
    probability = noise(53, 37, channels=1)
    image = opened(probability_png(probability))
    assert (image.mode, image.size) == ("L", (53, 37))
    assert np.array_equal(np.asarray(image), probability)


def test_a_preview_shows_the_source_and_is_scaled_down_only_if_it_is_very_large():
    pixels = data.immunohistochemistry()
    image = opened(preview_webp(pixels))
    assert (image.format, image.size) == ("WEBP", (512, 512))
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).mean() < 6
    gray = opened(preview_webp(np.tile(np.arange(200, dtype=np.uint8), (100, 1))))
    assert np.ptp(np.asarray(gray.convert("RGB")), axis=2).max() <= 2
    wide = opened(preview_webp(np.zeros((10, 2 * PREVIEW_SIDE), np.uint8)))
    assert wide.size == (PREVIEW_SIDE, 5)


@pytest.mark.parametrize("make", [lambda m: mask_png(mask_of(m)), lambda m: overlay_png(noise(40, 30), [m], ["a"])])
def test_artifacts_carry_pixels_and_nothing_else(make):
    assert set(chunks(make(np.ones((30, 40), np.bool_)))) == {b"IHDR", b"IDAT", b"IEND"}


def test_an_overlay_leaves_the_picture_alone_where_no_mask_is_near():
    pixels = data.immunohistochemistry()
    mask = block((512, 512), slice(200, 300), slice(100, 180))
    sheet = np.asarray(opened(overlay_png(pixels, [mask], ["gland"])))
    near = block((512, 512), slice(195, 305), slice(95, 185))
    assert np.array_equal(sheet[:512, :512][~near], pixels[~near])
    assert not np.array_equal(sheet[250, 140], pixels[250, 140])


def test_an_overlay_outlines_each_mask_in_its_own_colour_above_all_tints():
    black = np.zeros((400, 600), np.uint8)
    masks = [block((400, 600), slice(50, 250), slice(50, 250)), block((400, 600), slice(150, 350), slice(150, 550))]
    sheet = np.asarray(opened(overlay_png(black, masks, ["one", "two"])))
    assert tuple(sheet[50, 100]) == colour_of(0)
    assert tuple(sheet[200, 249]) == colour_of(0)  # under the second mask's tint, were it not an outline
    assert tuple(sheet[349, 300]) == colour_of(1)


def test_a_legend_lies_below_the_picture_with_every_colour_in_it():
    pixels = np.full((480, 640, 3), 90, np.uint8)
    masks = [block((480, 640), slice(10 * n, 10 * n + 8), slice(10, 90)) for n in range(12)]
    sheet = opened(overlay_png(pixels, masks, [f"prompt {n}" for n in range(12)]))
    assert sheet.width == 640
    assert sheet.height > 480
    below = {tuple(pixel) for pixel in np.asarray(sheet)[480:].reshape(-1, 3)}
    assert {colour_of(n) for n in range(12)} <= below


def test_an_empty_mask_is_in_the_legend_and_looks_different_there():
    pixels = np.zeros((300, 400, 3), np.uint8)
    empty, found = np.zeros((300, 400), np.bool_), block((300, 400), slice(9, 20), slice(9, 20))
    strips = [np.asarray(opened(overlay_png(pixels, [mask], ["liver"])))[300:] for mask in (empty, found)]
    assert all((strip == colour_of(0)).all(axis=2).any() for strip in strips)
    assert not np.array_equal(*strips)


@pytest.mark.parametrize(
    "label",
    [
        "",
        " ",
        "\x00\n\t",
        "\ud800 lone",
        "肝臓の腫瘍",
        "שלום \u202eright to left",
        "🫀 é ﬁ",
        "e" + "\u0301" * 300,
        "word " * 200,
        "x" * 2000,
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (200, 150), (1000, 40)])
def test_any_label_can_be_drawn_under_any_picture(label, size):
    width, height = size
    sheet = opened(overlay_png(noise(width, height), [np.ones((height, width), np.bool_)], [label]))
    assert sheet.width == max(width, 300)
    assert height < sheet.height < height + 200


@pytest.mark.parametrize(("width", "height"), [(200, 200), (1411, 1411), (4000, 3000), (40, 2000)])
def test_a_legend_takes_a_modest_part_of_the_sheet_and_is_never_too_small_to_read(width, height):
    mask = np.ones((height, width), np.bool_)
    sheet = opened(overlay_png(np.zeros((height, width), np.uint8), [mask] * 2, ["optic disc", "optic cup"]))
    assert 24 <= sheet.height - height <= max(90, height // 10)


def test_no_prompt_at_all_leaves_the_picture():
    sheet = opened(overlay_png(noise(400, 300), [], []))
    assert np.array_equal(np.asarray(sheet)[:300, :400], noise(400, 300))


def test_the_arrays_given_are_not_changed():
    pixels, mask = noise(60, 50), np.ones((50, 60), np.bool_)
    pixels.setflags(write=False)
    mask.setflags(write=False)
    overlay_png(pixels, [mask], ["all"])
    assert np.array_equal(pixels, noise(60, 50))
