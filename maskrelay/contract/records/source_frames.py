"""The description of a source and of how to read its frames. The plan contains it, and workers read frames by it."""

from typing import Literal

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.record import Record

#: The map from voxel indices (i, j, k) to millimetres (RAS+). It has a row for each of x, y and z, with three factors
#: and an offset.
Affine = tuple[tuple[float, float, float, float], ...]


class Extent(Record):
    """The location of a member of a zip archive: the `length` bytes that begin at `offset` in the upload."""

    offset: int
    length: int
    #: The decompressed size of the member. None if it is stored without compression.
    inflated: int | None = None
    #: The checksum of the decompressed bytes. None if it is unknown, as in plans of earlier versions of the software.
    crc32: int | None = None


class Orientation(Record):
    """The transform from a stored slice to the displayed image. The slice is transposed first, then flipped.

    A volume is cut into slices along one voxel axis. The axes of a stored slice are the other two voxel axes, in order.
    The axes of an image are row and column.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


class Window(Record):
    """The conversion of pixel values to 8 bits.

    Values up to `low` become 0, and values from `high` on become 255. Between these limits, the conversion is linear.
    """

    #: The origin of the window, such as the name of a preset.
    name: str
    low: float
    high: float
    #: Whether the conversion is a sigmoid curve instead. `low` and `high` are then the limits of the window that
    #: defines the curve.
    sigmoid: bool = False


class Reading(Record):
    """The description of how to read one frame."""

    kind: Kind = "still"
    #: Whether the source contains several frames. A worker keeps a local copy of such a source.
    several: bool = False
    #: The number of the page in a TIFF file, of the frame in a DICOM object, or of the slice along `axis` in a volume.
    #: It is counted from 0.
    index: int = 0
    axis: int | None = None
    #: The number of the volume in a NIfTI file with several volumes, counted from 0.
    volume: int | None = None
    #: The transform from the stored slice to the frame's image.
    turn: Orientation = Orientation()
    #: The conversion of the samples to 8 bits. None means that 8-bit samples are not changed, and that samples with
    #: more bits are scaled between percentiles of the frame (see `percentiles`).
    window: Window | None = None
    percentiles: Literal["percentile-positive", "percentile-all"] = "percentile-positive"
    #: The distances between rows and between columns of the image, in millimetres. None if they are unknown.
    spacing: tuple[float, float] | None = None
    #: The height and the width of a pixel in an unknown unit. It is used only if `spacing` is unknown.
    aspect: tuple[float, float] | None = None


class Forms(Record):
    """The two affines of a NIfTI file (RAS+, millimetres) with their codes. An affine that is not declared is None."""

    sform: Affine | None = None
    sform_code: int = 0
    qform: Affine | None = None
    qform_code: int = 0


class Grid(Record):
    """The volume whose slices are the frames of an item.

    For a DICOM series, i is the number of the column, j of the row and k of the slice, so `turn` transposes each slice.
    """

    #: The number of voxels along i, j and k.
    shape: tuple[int, int, int]
    #: The map from voxel indices to millimetres, RAS+.
    affine: Affine
    #: The axis along which the volume is cut into frames.
    axis: int = 2
    #: The slice number of each frame along `axis`. The numbers of missing slices are skipped.
    places: tuple[int, ...]
    #: The transform from a stored slice to the frame's image.
    turn: Orientation = Orientation()
    #: The two affines that the header of a NIfTI file can declare.
    forms: Forms | None = None
