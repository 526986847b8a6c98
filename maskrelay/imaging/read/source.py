"""Reading of one frame of any kind of source, as the plan describes it."""

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

    #: The peak memory, in bytes, of decoding the frame and converting it to the canvas.
    footprint: int
    #: A function that decodes the frame. Call it only once. It raises only subclasses of ItemError.
    plane: Callable[[], Plane]


def open_frame(source: bytes | Path, reading: Reading, *, max_pixels: int) -> OpenedFrame:
    """Read only the header of a frame. The source of a volume must be the path of a file that does not change.

    Raises only subclasses of ItemError.
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
    """Return the samples of a frame. Raises only subclasses of ItemError."""
    return open_frame(source, reading, max_pixels=max_pixels).plane()


@lru_cache(maxsize=2)
def _frames_of(file: Path, max_pixels: int) -> DicomPlanes:
    """Return the planes of a DICOM file.

    The header of a multi-frame object is large, so it is cached and not read again for each frame.
    """
    return open_planes(file, max_pixels=max_pixels)


def read_picture(source: bytes | Path, reading: Reading, *, max_pixels: int) -> Picture:
    """Return the frame as uint8, gray or RGB. Raises only subclasses of ItemError."""
    return picture_of(open_frame(source, reading, max_pixels=max_pixels), reading)


def picture_of(opened: OpenedFrame, reading: Reading) -> Picture:
    """Return the opened frame as uint8, gray or RGB. Raises only subclasses of ItemError."""
    plane = opened.plane()
    window = reading.window
    if window is None and reading.percentiles != POSITIVE:
        window = volume_window(reading.percentiles, lambda: iter((plane,)))
    pixels, done = to_bytes(plane, window)
    return Picture(pixels, plane.bits, done)
