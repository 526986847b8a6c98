"""What decoding takes at its peak, as reckoned from the header, beside what a process really took."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.records.source_frames import Reading
from maskrelay.errors import Truncated
from maskrelay.imaging import bands
from maskrelay.imaging.frame_pixels import prepare
from maskrelay.imaging.read import strips
from maskrelay.imaging.read.picture import read_still
from maskrelay.imaging.read.source import open_frame
from tests.support.builders.dicoms import dicom_of
from tests.support.builders.pictures import files_of_every_format, png16, saved

SIDE = 3000
GRAY = (np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 251).astype(np.uint8)
DEEP = GRAY.astype(np.uint16) * 257


def colour() -> Image.Image:
    return Image.fromarray(np.stack([GRAY, GRAY[::-1], GRAY.T], -1))


def translucent() -> Image.Image:
    picture = colour()
    picture.putalpha(Image.fromarray(GRAY))
    return picture


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(colour(), "JPEG", exif=exif)


def deep_tiff(**about: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, np.stack([DEEP] * 3, -1), photometric="rgb", **about)  # type: ignore[arg-type]
    return out.getvalue()


FILES: dict[str, tuple[Kind, Callable[[], bytes]]] = {
    "png": ("still", lambda: saved(colour(), "PNG", compress_level=1)),
    "png of a palette": ("still", lambda: saved(colour().quantize(16), "PNG", compress_level=1)),
    "png with alpha": ("still", lambda: saved(translucent(), "PNG", compress_level=1)),
    "16-bit gray png": ("still", lambda: saved(Image.fromarray(DEEP), "PNG", compress_level=1)),
    "16-bit png with alpha": ("still", lambda: png16(np.stack([DEEP] * 4, -1))),
    "jpeg": ("still", lambda: saved(colour(), "JPEG")),
    "turned jpeg": ("still", turned),
    "progressive jpeg": ("still", lambda: saved(colour(), "JPEG", progressive=True, subsampling=0)),
    "progressive jpeg that is cut": (
        "still",
        lambda: saved(colour(), "JPEG", progressive=True, subsampling=0)[:-2],
    ),
    "progressive cmyk jpeg": ("still", lambda: saved(colour().convert("CMYK"), "JPEG", progressive=True)),
    "float tiff in one strip": ("tiff", lambda: saved(Image.fromarray(GRAY).convert("F"), "TIFF")),
    "16-bit tiff": ("tiff", lambda: deep_tiff(compression="zlib", rowsperstrip=SIDE)),
    "webp": ("still", lambda: saved(translucent(), "WEBP", lossless=True, quality=0, method=0)),
    "bmp": ("still", lambda: saved(colour(), "BMP")),
    "16-bit dicom with a rescale": (
        "dicom",
        lambda: dicom_of(DEEP, RescaleSlope="1.5", RescaleIntercept="-1024", PixelPaddingValue=771),
    ),
    "colour dicom": (
        "dicom",
        lambda: dicom_of(np.stack([GRAY] * 3, -1), PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1),
    ),
}


def peak_of(call: Callable[[], object]) -> int:
    """Bytes by which the resident memory of a process of its own grows at most during `call`."""
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        before = memory("VmRSS")
        try:
            call()
        finally:
            os.write(theirs, struct.pack("q", memory("VmHWM") - before))
            os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    [grown] = struct.unpack("q", os.read(ours, 8))
    os.close(ours)
    return int(grown)


def memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) << 10


def prepared(file: bytes, kind: Kind) -> None:
    try:
        prepare(file, ("organ",), max_pixels=SIDE**2, reading=Reading(kind=kind))
    except Truncated:  # a file that is cut takes its memory before that is found out
        return


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """What is imported at its first use is no part of a picture's memory."""
    prepared(saved(Image.fromarray(GRAY[:40, :40]), "PNG"), "still")
    prepared(dicom_of(GRAY[:40, :40]), "dicom")


@pytest.mark.parametrize("name", FILES)
def test_decoding_takes_no_more_than_was_reckoned_from_the_header(name: str) -> None:
    kind, make = FILES[name]
    file = make()
    reckoned = open_frame(file, Reading(kind=kind), max_pixels=SIDE**2).footprint
    assert peak_of(lambda: prepared(file, kind)) <= reckoned


def test_opening_a_frame_decodes_nothing() -> None:
    file = FILES["16-bit png with alpha"][1]()
    assert peak_of(lambda: open_frame(file, Reading(), max_pixels=SIDE**2)) < 16 << 20


def test_a_picture_is_the_same_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: file for name, file in files_of_every_format().items() if name != "tiff-pages"}
    whole = {name: read_still(file, max_pixels=10_000).values for name, file in files.items()}
    monkeypatch.setattr(strips, "_AT_ONCE", 100)
    monkeypatch.setattr(bands, "AT_ONCE", 100)
    for name, file in files.items():
        assert np.array_equal(read_still(file, max_pixels=10_000).values, whole[name]), name
