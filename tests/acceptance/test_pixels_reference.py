"""The way of the pixels beside a plain one (Pillow, `json`, base64), over every real picture that packages bring.

The canvas lies within the contract's tolerance of the plain one; everything else is equal, pixel for pixel.
"""

import base64
import importlib.resources
import io
import json
import warnings

import numpy as np
import pydicom
import pytest
from PIL import Image
from pycocotools import mask as coco
from pydicom.data import get_testdata_file
from scipy import ndimage

from maskrelay.contract.wire.image2d import encode_request
from maskrelay.contract.wire.image2d_answer import parse_answer
from maskrelay.imaging.canvas.encode import CanvasCoding
from maskrelay.imaging.frame_pixels import PreparedFrame, draw, prepare
from tests.support.builders.pictures import saved

PROMPTS = ("bright", "dark", "nothing")
FILES = (
    *("astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "chessboard_GRAY.png"),
    *("clock_motion.png", "coffee.png", "coins.png", "color.png", "grass.png", "gravel.png"),
    *("hubble_deep_field.jpg", "ihc.png", "microaneurysms.png", "moon.png", "motorcycle_left.png", "page.png"),
    *("phantom.png", "retina.jpg", "rocket.jpg", "text.png"),
)
SCANS = (
    *("CT_small.dcm", "MR_small.dcm", "SC_rgb_rle.dcm", "examples_overlay.dcm", "examples_palette.dcm"),
    *("examples_rgb_color.dcm", "image_dfl.dcm", "693_J2KI.dcm", "JPEG2000.dcm", "SC_rgb_jpeg.dcm"),
)


def photograph(name: str) -> bytes:
    return (importlib.resources.files("skimage") / "data" / name).read_bytes()


def scan(name: str) -> bytes:
    """A scan's stored values as a PNG: of 8 bits as they are, deeper ones scaled plainly from least to most."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = pydicom.dcmread(str(get_testdata_file(name, download=False))).pixel_array.astype(np.float64)
    low, high = values.min(), values.max()
    return saved(Image.fromarray(((values - low) * (255 / (high - low))).astype(np.uint8)), "PNG")


PICTURES = [(photograph, name) for name in FILES] + [(scan, name) for name in SCANS]


@pytest.fixture(scope="module", params=PICTURES, ids=[name for _, name in PICTURES])
def picture(request) -> bytes:
    read, name = request.param
    return read(name)


@pytest.fixture(scope="module")
def prepared(picture) -> PreparedFrame:
    return prepare(picture, PROMPTS, max_pixels=10_000_000)


def plain_pixels(file: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def plain_square(pixels: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Padded with black to a square, and where the picture begins in it."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, *pixels.shape[2:]), np.uint8)
    square[top : top + height, left : left + width] = pixels
    return square, left, top


def plain_canvas(pixels: np.ndarray) -> np.ndarray:
    square = Image.fromarray(plain_square(pixels)[0]).resize((1024, 1024), Image.Resampling.BICUBIC)
    return np.asarray(square.convert("RGB"))


def made_maps(canvas: np.ndarray) -> np.ndarray:
    """Three maps as a model might give them: what is bright, what is dark over a haze, and hardly anything."""
    smooth = ndimage.gaussian_filter(canvas.mean(axis=2), 4)
    smooth = (smooth - smooth.min()) * (255 / max(1.0, float(np.ptp(smooth))))
    return np.stack([smooth, np.clip(200 - smooth, 3, 200), smooth / 255]).astype(np.uint8)


def answer_of(maps: np.ndarray) -> bytes:
    encoded = base64.b64encode(maps.tobytes()).decode()
    features = {"data": encoded, "shape": list(maps.shape), "dtype": "uint8"}
    return json.dumps([{"image_features": json.dumps(features), "text_features": ["other"] * len(maps)}]).encode()


def plain_maps(answer: bytes) -> np.ndarray:
    features = json.loads(json.loads(answer)[0]["image_features"])
    raw = base64.b64decode(features["data"])
    return np.frombuffer(raw, features["dtype"]).reshape(features["shape"])


def plain_back(one: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The source's part of the square, by one call to Pillow."""
    height, width = pixels.shape[:2]
    square, left, top = plain_square(pixels)
    scale = 1024 / len(square)
    part = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
    return np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR, box=part))


def opened(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def sent(prepared: PreparedFrame) -> np.ndarray:
    """The canvas as an endpoint reads it from the request."""
    [row] = json.loads(encode_request([prepared.row]))["input_data"]["data"]
    image = Image.open(io.BytesIO(base64.b64decode(row[0], validate=True)))
    assert (image.mode, row[1]) == ("RGB", " & ".join(PROMPTS))
    return np.asarray(image)


def test_the_canvas_is_within_the_contracts_tolerance(picture, prepared):
    pixels = plain_pixels(picture)
    assert np.array_equal(prepared.picture.pixels, pixels)
    difference = np.abs(sent(prepared).astype(int) - plain_canvas(pixels))
    assert difference.max() <= 2
    assert difference.mean() <= 0.2


def test_a_gray_source_may_be_sent_gray_and_shows_the_same(picture, prepared):
    gray = prepare(picture, PROMPTS, max_pixels=10_000_000, coding=CanvasCoding(gray=True))
    image = Image.open(io.BytesIO(gray.row.image))
    assert image.mode == ("L" if prepared.picture.pixels.ndim == 2 else "RGB")
    assert np.array_equal(np.asarray(image.convert("RGB")), sent(prepared))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
@pytest.mark.parametrize("outputs", [("mask",), ("mask", "probability")])
def test_masks_and_what_is_told_of_them_are_equal_to_the_plain_ways(picture, prepared, outputs):
    pixels = plain_pixels(picture)
    answer = answer_of(made_maps(plain_canvas(pixels)))
    [read] = parse_answer(answer, [prepared.row])
    drawn = draw(prepared, read, "probability", outputs).masks
    for one, raw in zip(drawn, plain_maps(answer), strict=True):
        back = plain_back(raw, pixels)
        mask = back >= 128
        assert np.array_equal(opened(one.mask), np.where(mask, 255, 0))
        assert one.probability is None or np.array_equal(opened(one.probability), back)
        assert one.rle.counts == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert one.measures.area_px == mask.sum()
        assert one.measures.components == ndimage.label(mask, np.ones((3, 3)))[1]
        assert one.measures.mean_probability == pytest.approx((back[mask] if mask.any() else back).mean() / 255)
