import io

import numpy as np
import pytest
from PIL import Image

from maskrelay.imaging.draw.legend import LegendEntry
from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.item_files.contact_sheet import (
    MOST_TILES,
    sampled,
    thumbnail,
    write_contact_sheet,
)
from tests.support.builders.pictures import noise

LEGEND = [LegendEntry("liver", colour_of(0), empty=False), LegendEntry("spleen", colour_of(1), empty=True)]


def opened(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def sheet(frames: int, thumbnail_of) -> np.ndarray:
    out = io.BytesIO()
    write_contact_sheet(out, frames, [(60, 100)], thumbnail_of, LEGEND)
    return opened(out.getvalue())


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (100, 60)) -> bytes:
    return thumbnail(np.full((size[1], size[0], 3), colour, np.uint8), [])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), (160, 160)),
        ((640, 480), (160, 120)),
        ((100, 50), (100, 50)),
        ((4000, 3), (160, 1)),
        ((3, 4000), (1, 160)),
    ],
)
def test_a_thumbnail_keeps_the_shape_and_is_never_larger_than_the_frame(size, expected):
    small = Image.open(io.BytesIO(thumbnail(noise(*size, channels=1), [np.zeros((size[1], size[0]), np.bool_)])))
    assert small.size == expected
    assert small.mode == "RGB"


def test_a_thumbnail_shows_each_mask_in_its_colour_even_a_small_one():
    masks = np.zeros((2, 512, 512), np.bool_)
    masks[0, 100:300, 100:300] = True
    masks[1, 400:403, 400:403] = True
    found = {tuple(pixel) for pixel in opened(thumbnail(np.zeros((512, 512), np.uint8), masks)).reshape(-1, 3)}
    assert {colour_of(0), colour_of(1)} <= found


def test_up_to_400_frames_are_all_shown_and_more_are_sampled_evenly_from_first_to_last():
    assert sampled(MOST_TILES) == list(range(MOST_TILES))
    places = sampled(1234)
    assert len(set(places)) == MOST_TILES
    assert (places[0], places[-1]) == (0, 1233)
    assert set(np.diff(places)) <= {3, 4}


def test_tiles_lie_row_by_row_in_the_order_of_frames():
    picture = sheet(7, lambda place: plain((20 * place + 60, 200, 200)))
    shown = picture[(picture[:, :, 1:] == 200).all(axis=2)][:, 0].tolist()
    order = list(dict.fromkeys(shown))
    assert order == [20 * place + 60 for place in range(7)]


def test_a_frame_without_a_thumbnail_leaves_its_place_dark():
    with_gap, without = (sheet(6, lambda p, g=gap: None if p == g else plain((250, 250, 250))) for gap in (2, 9))
    assert with_gap.shape == without.shape
    assert (
        5
        < (without == 250).all(axis=2).sum()
        / ((without == 250).all(axis=2).sum() - (with_gap == 250).all(axis=2).sum())
        < 7
    )


def test_each_tile_has_a_number_of_its_own():
    picture = sheet(4, lambda _: plain((0, 0, 0)))
    corners = [picture[y : y + 20, x : x + 30].tobytes() for y in (4, 68) for x in (4, 108)]
    assert len(set(corners)) == 4


def test_the_legend_below_has_every_prompts_colour():
    found = {tuple(pixel) for pixel in sheet(3, lambda _: plain((9, 9, 9))).reshape(-1, 3)}
    assert {colour_of(0), colour_of(1)} <= found


def test_an_item_without_any_thumbnail_still_has_a_page():
    assert sheet(5, lambda _: None).ndim == 3
