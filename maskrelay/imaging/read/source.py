"""Read one frame of any kind of source, as recorded in the plan."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from maskrelay.contract.records.source_frames import Reading
from maskrelay.contract.vocabulary.intensity_names import POSITIVE
from maskrelay.imaging.dicom import DicomPlanes, open_planes
from maskrelay.imaging.intensity.volume_percentiles import volume_window
from maskrelay.imaging.intensity.window import to_bytes
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.nifti_slices import open_nifti, read_slice, slice_footprint
from maskrelay.imaging.read.picture import Picture, open_still
from maskrelay.imaging.read.tiff import page_footprint, read_page


@dataclass(frozen=True, eq=False)
class OpenedFrame:
    """A frame whose header was read."""

    #: The peak memory of `plane` and the conversion to the canvas, in bytes.
    footprint: int
    #: Decodes the frame; to be called once. Raises only ItemErrors.
    plane: Callable[[], Plane]


def open_frame(source: bytes | Path, reading: Reading, *, max_pixels: int) -> OpenedFrame:
    """Read only the frame's header. A volume's source must be the path of a file that does not change.

    Raises only ItemErrors.
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
    """Return the frame's samples. Raises only ItemErrors."""
    return open_frame(source, reading, max_pixels=max_pixels).plane()


@lru_cache(maxsize=2)
def _frames_of(file: Path, max_pixels: int) -> DicomPlanes:
    """The header of a multi-frame object grows with its frames, so it is cached instead of read for each frame."""
    return open_planes(file, max_pixels=max_pixels)


def read_picture(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Picture:
    """Return the frame as uint8, gray or RGB. Raises only ItemErrors."""
    return picture_of(open_frame(source, reading, max_pixels=max_pixels), reading)


def picture_of(opened: OpenedFrame, reading: Reading) -> Picture:
    """Return the opened frame as uint8, gray or RGB. Raises only ItemErrors."""
    plane = opened.plane()
    window = reading.window
    if window is None and reading.percentiles != POSITIVE:
        window = volume_window(reading.percentiles, lambda: iter((plane,)))
    pixels, done = to_bytes(plane, window)
    return Picture(pixels, plane.bits, done)
