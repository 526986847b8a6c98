"""The description of a source and of how to read one frame of it: written by the plan, followed by the segment step."""

from typing import Literal

from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.record import Record

#: Voxel (i, j, k) to millimetres (RAS+), rows x, y, z: three factors and an offset each.
Affine = tuple[tuple[float, float, float, float], ...]


class Extent(Record):
    """A member of a zip: `length` bytes at `offset` of the upload."""

    offset: int
    length: int
    #: Its decompressed size; None: stored without compression.
    inflated: int | None = None
    #: The checksum of its decompressed bytes; None if unknown, as in plans of earlier releases.
    crc32: int | None = None


class Orientation(Record):
    """The transform from a stored slice to the displayed image: transpose first, then flip.

    A stored slice of a volume is [a, b], its two remaining voxel axes in order; an image is [row, column].
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


class Window(Record):
    """How values become bytes: `low` and below 0, `high` and above 255, linear in between. `name`: its origin."""

    name: str
    low: float
    high: float
    #: A curve instead, for which `low` and `high` are the ends of the window's width.
    sigmoid: bool = False


class Reading(Record):
    """How one frame is read."""

    kind: Kind = "still"
    #: The source holds other frames too, so that a local copy of it is worth keeping.
    several: bool = False
    #: Page of a TIFF, frame of a DICOM object (from 0), slice of a volume along `axis`.
    index: int = 0
    axis: int | None = None
    #: Which volume of a 4-D NIfTI.
    volume: int | None = None
    turn: Orientation = Orientation()
    #: None leaves 8-bit samples as they are and scales deeper ones by the frame's own `percentiles`.
    window: Window | None = None
    percentiles: Literal["percentile-positive", "percentile-all"] = "percentile-positive"
    #: (row, column) spacing of the image in millimetres, None if unknown.
    spacing: tuple[float, float] | None = None


class Forms(Record):
    """The two affines of a NIfTI (RAS+, millimetres) with their codes; None for one that is not declared."""

    sform: Affine | None = None
    sform_code: int = 0
    qform: Affine | None = None
    qform_code: int = 0


class Grid(Record):
    """The volume whose slices are an item's frames.

    A DICOM series is stored as i = column, j = row, k = slice, so its `turn` is a transposition.
    """

    #: Voxels along i, j, k.
    shape: tuple[int, int, int]
    #: Voxel index to millimetres, RAS+.
    affine: Affine
    #: The axis along which the frames are cut.
    axis: int = 2
    #: For each frame its slice number along `axis`; numbers may be missing.
    places: tuple[int, ...]
    #: From a stored slice to the frame's image.
    turn: Orientation = Orientation()
    #: How a NIfTI declares the position of its voxels.
    forms: Forms | None = None
