"""Every layout of samples that a TIFF can have is read as tifffile reads it, or refused."""

import io
import itertools
from typing import Any

import numpy as np
import pytest
import tifffile

from maskrelay.errors import UnsupportedImage
from maskrelay.imaging.read.tiff import read_page

LIMIT = 1_000_000
HEIGHT, WIDTH = 37, 53
WAYS: tuple[dict[str, Any], ...] = ({}, {"tile": (16, 32)}, {"rowsperstrip": 5})


def samples(dtype: str, channels: int = 1) -> np.ndarray[Any, Any]:
    """Values over the whole range of the type, different in each channel."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = [(3 * rows + 2 * columns) * (channel + 1) + 20 * channel for channel in range(channels)]
    values = np.stack(planes, -1) % 251
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = values / 3
    elif kind.itemsize > 1:
        values = values * 257
    if kind.kind == "i":
        values = values - int(values.max()) // 2
    values = values.astype(dtype)
    return values[..., 0] if channels == 1 else values


def written(values: np.ndarray[Any, Any], order: str = "<", *, big: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as out:
        out.write(values, metadata=None, **options)
    return buffer.getvalue()


def apart(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def read(file: bytes) -> np.ndarray[Any, Any]:
    return read_page(file, 0, max_pixels=LIMIT).values


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4"])
def test_gray_is_equal_or_refused(dtype, order, big, compression, way):
    file = written(samples(dtype), order, big=big, compression=compression, photometric="minisblack", **way)
    try:
        found = read(file)
    except UnsupportedImage:
        assert (dtype, order) == ("u4", ">")
        return
    assert np.array_equal(found, samples(dtype))


@pytest.mark.parametrize(("dtype", "order"), list(itertools.product(["u1", "u2"], "<>")))
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_gray_of_which_zero_is_white_is_inverted(dtype, order, way):
    file = written(samples(dtype), order, photometric="miniswhite", **way)
    try:
        found = read(file)
    except UnsupportedImage:
        assert (dtype, order) == ("u2", ">")
        return
    assert np.array_equal(found, np.iinfo(dtype).max - samples(dtype))


def test_floats_of_which_zero_is_white_are_inverted_once_they_are_bytes():
    assert read_page(written(samples("f4"), photometric="miniswhite"), 0, max_pixels=LIMIT).inverted
    assert not read_page(written(samples("f4"), photometric="minisblack"), 0, max_pixels=LIMIT).inverted


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("dtype", "order"), list(itertools.product(["u1", "i1", "u2", "i2", "u4", "f4"], "<>")))
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colours_are_equal_or_refused(planar, dtype, order, compression, way):
    values = samples(dtype, 3)
    laid = values if planar == "contig" else apart(values)
    file = written(laid, order, photometric="rgb", planarconfig=planar, compression=compression, **way)
    try:
        found = read(file)
    except UnsupportedImage:
        assert dtype not in {"u1"} | ({"u2"} if planar == "contig" else set())
        return
    assert np.array_equal(found, values)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_lets_black_through_or_is_refused(colours, extra, planar, dtype, compression):
    values, most = samples(dtype, colours + 1), int(np.iinfo(dtype).max)
    alpha = values[..., -1:].astype(np.int64)
    over_black = (values[..., :-1].astype(np.int64) * alpha + most // 2) // most
    if extra == "assocalpha":
        values = np.concatenate([over_black, alpha], -1).astype(dtype)
    laid = values if planar == "contig" else apart(values)
    photometric = "rgb" if colours == 3 else "minisblack"
    options = {"photometric": photometric, "planarconfig": planar, "extrasamples": [extra], "compression": compression}
    try:
        found = read(written(laid, **options))
    except UnsupportedImage:
        assert planar == "separate" or dtype == "u2" or (colours, extra) == (1, "assocalpha")
        return
    assert np.abs(found.reshape(over_black.shape).astype(np.int64) - over_black).max() <= 1


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_palette_gives_its_colours(order, compression):
    table = np.random.default_rng(3).integers(0, 65536, (3, 256), dtype=np.uint16)
    file = written(samples("u1"), order, photometric="palette", colormap=table, compression=compression)
    assert np.array_equal(read(file), np.moveaxis(table[:, samples("u1")] >> 8, 0, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("dtype", "channels"), [("u1", 1), ("u1", 3), ("u2", 1), ("u2", 3), ("f4", 1)])
def test_every_depth_is_turned_upright(dtype, channels, orientation):
    values = samples(dtype, channels)
    photometric = "minisblack" if channels == 1 else "rgb"
    file = written(values, photometric=photometric, extratags=[(274, "H", 1, orientation, True)])
    upright = values.swapaxes(0, 1) if orientation > 4 else values
    upright = upright[:, ::-1] if orientation in (2, 3, 6, 7) else upright
    upright = upright[::-1] if orientation in (3, 4, 7, 8) else upright
    assert np.array_equal(read(file), upright)


def test_a_compression_that_is_not_read_is_named():
    file = bytearray(written(samples("u1"), photometric="minisblack"))
    place = file.index(b"\x03\x01\x03\x00\x01\x00\x00\x00")  # Compression, one short
    file[place + 8 : place + 10] = (33005).to_bytes(2, "little")
    with pytest.raises(UnsupportedImage, match="33005"):
        read(bytes(file))


def test_sixteen_bits_in_separate_channels_are_refused_by_name():
    file = written(apart(samples("u2", 3)), photometric="rgb", planarconfig="separate")
    with pytest.raises(UnsupportedImage, match="PlanarConfiguration"):
        read(file)
