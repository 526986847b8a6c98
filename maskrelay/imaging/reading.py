"""Read one frame of any kind of source, as recorded in the plan."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from maskrelay.contract.intensity import POSITIVE
from maskrelay.contract.sources import Reading
from maskrelay.imaging.decode import Picture, open_still
from maskrelay.imaging.dicom import DicomPlanes, open_planes
from maskrelay.imaging.nifti import open_nifti, read_slice, slice_footprint
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.tally import volume_window
from maskrelay.imaging.tiff import page_footprint, read_page
from maskrelay.imaging.windowing import to_bytes


@dataclass(frozen=True, eq=False)
class OpenedFrame:
    """A frame whose header was read. footprint: bytes that `plane` and the way to the canvas take at their peak.

    plane: decodes the frame; to be called once. Raises ItemErrors alone.
    """

    footprint: int
    plane: Callable[[], Plane]


def open_frame(source: bytes | Path, reading: Reading, *, max_pixels: int) -> OpenedFrame:
    """Read the frame's header alone. A volume's source is a path, and a file that stays as it is.

    Raises ItemErrors alone.
    """
    if reading.kind == "dicom":
        opened = (
            _frames_of(source, max_pixels) if isinstance(source, Path) else open_planes(source, max_pixels=max_pixels)
        )
        return OpenedFrame(opened.footprint, partial(opened.plane, reading.index))
    if reading.kind == "tiff":
        footprint = page_footprint(source, reading.index, max_pixels=max_pixels)
        return OpenedFrame(footprint, partial(read_page, source, reading.index, max_pixels=max_pixels))
    if isinstance(source, bytes):
        still = open_still(source, max_pixels=max_pixels)
        return OpenedFrame(still.footprint, still.plane)
    axis, facts = reading.axis or 0, open_nifti(source)
    picture = (source, facts, axis, reading.index, reading.volume, reading.turn)
    return OpenedFrame(slice_footprint(facts, axis), partial(read_slice, *picture, max_pixels=max_pixels))


def read_plane(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Plane:
    """The frame's samples. Raises ItemErrors alone."""
    return open_frame(source, reading, max_pixels=max_pixels).plane()


@lru_cache(maxsize=2)
def _frames_of(file: Path, max_pixels: int) -> DicomPlanes:
    """The header of an object of many frames is as long as they are many: it is read once and not for each of them."""
    return open_planes(file, max_pixels=max_pixels)


def read_picture(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Picture:
    """The frame as bytes, gray or RGB; raises ItemErrors alone."""
    return picture_of(open_frame(source, reading, max_pixels=max_pixels), reading)


def picture_of(opened: OpenedFrame, reading: Reading) -> Picture:
    """The opened frame as bytes, gray or RGB; raises ItemErrors alone."""
    plane = opened.plane()
    window = reading.window
    if window is None and reading.percentiles != POSITIVE:
        window = volume_window(reading.percentiles, lambda: iter((plane,)))
    pixels, done = to_bytes(plane, window)
    return Picture(pixels, plane.bits, done)
