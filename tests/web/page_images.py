"""The images that the tests of the web page submit."""

import io
import zipfile
from itertools import count

import numpy as np
from PIL import Image
from playwright.sync_api import FilePayload

from tests.support.builders.phantoms import ball, oblique, series, voxels
from tests.support.builders.pictures import saved

DISC = "optic disc in retinal fundus"
LIVER = "liver in abdomen CT"
_numbers = count()


def eye(name: str, side: int = 200) -> FilePayload:
    """Return a picture with a bright disc, which the simulator finds as the optic disc. No two are equal."""
    down, across = np.mgrid[:side, :side]
    number = next(_numbers)
    samples = np.full((side, side, 3), (120, 40, 20 + number % 200), np.uint8)
    samples[(down - side // 2) ** 2 + (across - side // 3 - number % 20) ** 2 < (side // 8) ** 2] = (250, 220, 120)
    return {"name": name, "mimeType": "image/png", "buffer": saved(Image.fromarray(samples), "PNG")}


def ct_slices(slices: int) -> list[bytes]:
    """Return the DICOM objects of a CT series with a ball in the middle."""
    raster = oblique((64, 64, slices), (3.0, 3.0, 4.0))
    return series(raster, voxels(raster, ball((0.0, 0.0, 0.0), 50.0)), np.arange(slices))


def ct(slices: int) -> FilePayload:
    """Return a zip archive of a CT series with a ball in it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for number, file in enumerate(ct_slices(slices)):
            packed.writestr(f"series/{number:03}.dcm", file)
    return {"name": "series.zip", "mimeType": "application/zip", "buffer": archive.getvalue()}


def broken() -> FilePayload:
    return {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not an image"}
