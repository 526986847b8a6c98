"""The description of a source and of how to read one frame of it: written by the plan, followed by the segment step."""

from typing import Literal

from maskrelay.contract.outcomes import Record

Kind = Literal["still", "tiff", "dicom", "nifti", "zip"]

#: Rows x, y, z (millimetres, RAS+) for voxel (i, j, k): three factors and an offset each.
Affine = tuple[tuple[float, float, float, float], ...]


class Extent(Record):
    """A member of a zip: `length` bytes at `offset` of the upload. `inflated`: its size once inflated; None: stored.

    crc32: the checksum of its own bytes; None where it is not known, as in plans of earlier releases.
    """

    offset: int
    length: int
    inflated: int | None = None
    crc32: int | None = None


class Turn(Record):
    """From a stored slice to the picture that is shown: transpose first, then flip.

    A stored slice of a volume is [a, b], its two remaining voxel axes in order; a picture is [row, column].
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False


class Window(Record):
    """How values become bytes: `low` and below 0, `high` and above 255, between them linear. `name` says where from.

    sigmoid: a curve instead, of which `low` and `high` are the ends of the window's width.
    """

    name: str
    low: float
    high: float
    sigmoid: bool = False


class Reading(Record):
    """How one frame is read.

    index: page of a TIFF, frame of a DICOM object (from 0), slice of a volume along `axis`. volume: which one of a
    4-D NIfTI. window: None leaves 8-bit samples as they are and scales deeper ones by the frame's own percentiles, of
    values above 0 or of all. spacing: millimetres from row to row and from column to column of the picture, None if
    unknown. several: the source holds other frames too, so that a local copy of it is worth keeping.
    """

    kind: Kind = "still"
    several: bool = False
    index: int = 0
    axis: int | None = None
    volume: int | None = None
    turn: Turn = Turn()
    window: Window | None = None
    percentiles: Literal["percentile-positive", "percentile-all"] = "percentile-positive"
    spacing: tuple[float, float] | None = None


class Forms(Record):
    """A NIfTI's own two affines (RAS+, millimetres) with their codes; None where one is not declared."""

    sform: Affine | None = None
    sform_code: int = 0
    qform: Affine | None = None
    qform_code: int = 0


class Grid(Record):
    """The volume that an item's frames are slices of.

    shape: voxels along i, j, k. affine: index to millimetres, RAS+. axis: along which the frames are cut. places: for
    each frame its slice number along `axis`; numbers may be missing. turn: from a stored slice to the frame's picture.
    A DICOM series is stored as i = column, j = row, k = slice, so its `turn` is a transposition. forms: how a NIfTI
    declares where its voxels lie.
    """

    shape: tuple[int, int, int]
    affine: Affine
    axis: int = 2
    places: tuple[int, ...]
    turn: Turn = Turn()
    forms: Forms | None = None
