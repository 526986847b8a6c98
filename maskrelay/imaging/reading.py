"""One frame from its source, whatever the source is: what the plan wrote down is followed here."""

from pathlib import Path

from maskrelay.contract.sources import Reading
from maskrelay.imaging.decode import Picture
from maskrelay.imaging.dicom import read_plane as read_dicom
from maskrelay.imaging.nifti import read_slice
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.tally import volume_window
from maskrelay.imaging.tiff import read_page
from maskrelay.imaging.windowing import to_bytes


def read_plane(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Plane:
    """The frame's samples; raises ItemError."""
    if reading.kind == "dicom":
        return read_dicom(source, reading.index, max_pixels=max_pixels)
    if reading.kind == "nifti":
        return read_slice(source, reading, max_pixels=max_pixels)
    return read_page(source, reading.index, max_pixels=max_pixels)


def read_picture(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Picture:
    """The frame as bytes, gray or RGB; raises ItemError."""
    plane = read_plane(source, reading, max_pixels=max_pixels)
    window = reading.window
    if window is None and reading.percentiles == "percentile-all":
        window = volume_window(reading.percentiles, lambda: iter([plane]))
    pixels, done = to_bytes(plane, window)
    return Picture(pixels, plane.bits, done)
