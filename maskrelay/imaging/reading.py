"""One frame from its source, whatever the source is: what the plan wrote down is followed here."""

from functools import lru_cache
from pathlib import Path

from maskrelay.contract.intensity import POSITIVE
from maskrelay.contract.sources import Reading
from maskrelay.imaging.decode import Picture, read_still
from maskrelay.imaging.dicom import DicomPlanes, open_planes
from maskrelay.imaging.nifti import open_nifti, read_slice
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.tally import volume_window
from maskrelay.imaging.tiff import read_page
from maskrelay.imaging.windowing import to_bytes


def read_plane(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Plane:
    """The frame's samples; a volume's source is a path, and a file that stays as it is. Raises ItemErrors alone."""
    if reading.kind == "dicom":
        opened = (
            _frames_of(source, max_pixels) if isinstance(source, Path) else open_planes(source, max_pixels=max_pixels)
        )
        return opened.plane(reading.index)
    if reading.kind == "tiff":
        return read_page(source, reading.index, max_pixels=max_pixels)
    if isinstance(source, bytes):
        return read_still(source, max_pixels=max_pixels)
    axis = reading.axis or 0
    return read_slice(
        source, open_nifti(source), axis, reading.index, reading.volume, reading.turn, max_pixels=max_pixels
    )


@lru_cache(maxsize=2)
def _frames_of(file: Path, max_pixels: int) -> DicomPlanes:
    """The header of an object of many frames is as long as they are many: it is read once and not for each of them."""
    return open_planes(file, max_pixels=max_pixels)


def read_picture(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Picture:
    """The frame as bytes, gray or RGB; raises ItemErrors alone."""
    plane = read_plane(source, reading, max_pixels=max_pixels)
    window = reading.window
    if window is None and reading.percentiles != POSITIVE:
        window = volume_window(reading.percentiles, lambda: iter((plane,)))
    pixels, done = to_bytes(plane, window)
    return Picture(pixels, plane.bits, done)
