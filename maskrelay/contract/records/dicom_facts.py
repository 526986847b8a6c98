"""The facts read from a DICOM header for grouping, ordering, windowing and acceptance. No arrays and no identity."""

from typing import Final

from maskrelay.contract.record import Record

Vector = tuple[float, float, float]
#: Row direction cosines, then column direction cosines, in patient coordinates (LPS+).
Orientation = tuple[float, float, float, float, float, float]

#: A value that distinguishes two slices at one position; 0, an empty text or an empty tuple if it is absent.
Mark = float | str | tuple[float, ...]

#: The marks in the order of `DicomFacts.ordinal`. Times are in milliseconds, except the two clocks, in seconds.
MARKS: Final = (
    "acquisition_number",
    "echo_number",
    "echo_time",
    "temporal_position",
    "trigger_time",
    "b_value",
    "inversion_time",
    "frame_reference_time",
    "image_type",
    "gradient_direction",
    "flip_angle",
    "cardiac_phase_percent",
    "sequence_name",
    "kernel",
    "kvp",
    "acquisition_time",
    "content_time",
)
#: Marks of the kind of image: slices that differ in one of them never belong to the same volume.
KINDS: Final = (
    "image_type",
    "echo_time",
    "echo_number",
    "b_value",
    "gradient_direction",
    "temporal_position",
    "inversion_time",
)
#: Marks that may differ between slices of one volume, so that only their order at a position separates volumes.
CLOCKS: Final = ("trigger_time", "frame_reference_time", "acquisition_time", "content_time")


class DicomFacts(Record):
    """The facts of one object. For an absent tag, the field is None; lists and UIDs are empty."""

    sop_class: str
    sop_instance: str
    study: str
    series: str
    frame_of_reference: str | None = None
    modality: str
    body_part: str | None = None
    rows: int
    columns: int
    frames: int = 1
    samples: int = 1
    bits: int
    photometric: str
    transfer_syntax: str
    #: (row, column) spacing in millimetres.
    spacing: tuple[float, float] | None = None
    #: One per frame (millimetres, LPS+), or empty if the object gives none.
    positions: tuple[Vector, ...] = ()
    #: One per frame (cosines, LPS+), or empty if the object gives none.
    orientations: tuple[Orientation, ...] = ()
    thickness: float | None = None
    #: VOI windows (centre, width) in modality units.
    windows: tuple[tuple[float, float], ...] = ()
    instance_number: int | None = None
    #: The marks that distinguish two objects at one position, in the order of `MARKS`.
    ordinal: tuple[Mark, ...] = ()
    #: The number of objects that the series declares.
    expected: int | None = None
    #: BurnedInAnnotation.
    burned_in: bool | None = None
    #: The marks of each frame of an enhanced object.
    frame_ordinals: tuple[tuple[Mark, ...], ...] = ()
    #: SpacingBetweenSlices.
    slice_distance: float | None = None
    #: RescaleType, such as HU.
    units: str | None = None
    #: How the windows are meant, if not linear.
    voi_function: str | None = None
    #: ImageType, used among others to recognise a localizer.
    image_type: tuple[str, ...] = ()
    #: The origin of a secondary capture (`SD`: a scanned document).
    conversion: str | None = None
    #: A keyed hash of what identifies the patient.
    patient: str = ""
    series_number: int | None = None
    #: A hash of the stored pixels and of what gives them their meaning; empty if they were not read.
    pixels: str = ""
    #: The number of objects of its acquisition. The series may hold a part of them, or another number after
    #: reformatting.
    acquired: int | None = None
    #: Slope and intercept of the first frame; None if the object gives none.
    rescale: tuple[float, float] | None = None
    #: Columns and rows of the whole slide that the object's tiles are parts of.
    total_matrix: tuple[int, int] | None = None
    #: Whether a slide's label is in the image.
    label_in_image: bool | None = None
    #: The number of slices that a Siemens mosaic declares.
    mosaic: int | None = None
    #: By code: where the header and the pixels disagree, and what is left out.
    findings: dict[str, tuple[int | str, ...]] = {}
