"""The images with which every contender is measured: crops and rotations of real images from Python packages."""

import importlib.resources
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

Pixels = npt.NDArray[np.uint8]
#: Prompts for a photograph of the retina on which the model was trained. A canned endpoint answers any prompt.
PROMPTS = ("optic disc in retinal fundus", "vessels in retinal fundus", "optic cup in retinal fundus")
#: The largest share of each side that is cut off, in 16 steps of at least one pixel.
_CUT = 0.08


def make_sources(folder: Path, count: int) -> list[Path]:
    """Write `count` different files into `folder`: in turn a JPEG and a PNG in RGB, and two gray PNGs.

    The JPEG is a photograph of the retina, 1411 pixels square. The PNGs are a stained section of 512 pixels square,
    cells of 550 × 660 pixels, and a CT slice of 128 pixels square in the abdomen's window. The files are slightly
    smaller, because each image is cropped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds: Sequence[tuple[str, Callable[[], Pixels]]] = (
        ("jpg", lambda: photograph("retina.jpg")),
        ("png", lambda: photograph("cell.png")),
        ("png", lambda: photograph("ihc.png")),
        ("png", _slice),
    )
    whole = [read() for _, read in kinds]
    paths: list[Path] = []
    for number in range(count):
        turn, kind = divmod(number, len(kinds))
        paths.append(folder / f"source-{number:05d}.{kinds[kind][0]}")
        Image.fromarray(varied(whole[kind], turn)).save(paths[-1], quality=92)
    return paths


def varied(pixels: Pixels, turn: int) -> Pixels:
    """Return the crop and rotation with this number. There are 8 × 16 × 16 variants."""
    steps, way = divmod(turn, 8)
    down, across = (
        max(step, int(_CUT * side * step / 16)) for side, step in zip(pixels.shape, divmod(steps, 16), strict=False)
    )
    crop = np.rot90(pixels[down:, across:], way % 4)
    return np.ascontiguousarray(crop if way < 4 else crop[:, ::-1])


def photograph(name: str) -> Pixels:
    """Return one of the real images that scikit-image includes."""
    found = importlib.resources.files("skimage") / "data" / name
    with importlib.resources.as_file(found) as path, Image.open(path) as image:
        return np.asarray(image)


def _slice() -> Pixels:
    read = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    units = read.pixel_array * float(read.RescaleSlope) + float(read.RescaleIntercept)
    return ((np.clip(units, -150, 250) + 150) * (255 / 400)).astype(np.uint8)


def make_series(folder: Path, slices: int, side: int) -> list[Path]:
    """Write one CT series of `slices` axial slices in separate files, `side` pixels square, with
    noise around soft tissue.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    made = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = study, series, frame
    made.Rows = made.Columns = side
    paths: list[Path] = []
    for number in range(slices):
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.ImagePositionPatient, made.InstanceNumber = [0, 0, number * 2.5], number + 1
        made.PixelData = rng.integers(900, 1300, (side, side), np.uint16).tobytes()
        paths.append(folder / f"slice-{number:05d}.dcm")
        made.save_as(paths[-1])
    return paths
