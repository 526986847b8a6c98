"""The description of a source, and of how to read a frame of it. Planning writes it, and segmenting follows it."""

from typing import Literal

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.record import Record

#: The map from voxel indices (i, j, k) to millimetres (RAS+). It has a row for each of x, y and z, with three factors
#: and an offset.
Affine = tuple[tuple[float, float, float, float], ...]


class Extent(Record):
    """The location of a member of a zip archive: `length` bytes from `offset` on in the upload."""

    offset: int
    length: int
    #: The decompressed size of the member. None if it is stored without compression.
    inflated: int | None = None
    #: The checksum of the decompressed bytes. None if it is unknown, as in plans of earlier versions of the software.
    crc32: int | None = None


class Orientation(Record):
    """The transform from a stored slice to the displayed image. The slice is transposed first, then flipped.

    The axes of a stored slice of a volume are the two remaining voxel axes, in order. The axes of an image are row and
    column.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


class Window(Record):
    """The conversion of pixel values to bytes.

    Values up to `low` become 0, and values from `high` on become 255. In between, the conversion is linear.
    """

    #: The origin of the window, such as the name of a preset.
    name: str
    low: float
    high: float
    #: Whether the conversion is a sigmoid curve instead. `low` and `high` are then the ends of the window's width.
    sigmoid: bool = False


class Reading(Record):
    """The description of how one frame is read."""

    kind: Kind = "still"
    #: Whether the source contains other frames as well. If it does, a local copy of the source is kept for them.
    several: bool = False
    #: The page of a TIFF, the frame of a DICOM object, or the slice of a volume along `axis`. All are counted from 0.
    index: int = 0
    axis: int | None = None
    #: The number of the volume in a NIfTI file with several volumes.
    volume: int | None = None
    #: The transform from the stored slice to the frame's image.
    turn: Orientation = Orientation()
    #: The conversion of the samples to 8 bits. None means that 8-bit samples are not changed, and deeper samples are
    #: scaled between percentiles of the frame itself (see `percentiles`).
    window: Window | None = None
    percentiles: Literal["percentile-positive", "percentile-all"] = "percentile-positive"
    #: The distances between rows and between columns of the image, in millimetres. None if they are unknown.
    spacing: tuple[float, float] | None = None


class Forms(Record):
    """The two affines of a NIfTI file (RAS+, millimetres) with their codes. An affine that is not declared is None."""

    sform: Affine | None = None
    sform_code: int = 0
    qform: Affine | None = None
    qform_code: int = 0


class Grid(Record):
    """The volume whose slices are the frames of an item.

    For a DICOM series, i is the column, j the row and k the slice. Its `turn` is therefore a transposition.
    """

    #: The number of voxels along i, j and k.
    shape: tuple[int, int, int]
    #: The map from voxel indices to millimetres, RAS+.
    affine: Affine
    #: The axis along which the volume is cut into frames.
    axis: int = 2
    #: For each frame, its slice number along `axis`. Numbers may be missing.
    places: tuple[int, ...]
    #: The transform from a stored slice to the frame's image.
    turn: Orientation = Orientation()
    #: The two affines that the header of a NIfTI file can declare.
    forms: Forms | None = None
