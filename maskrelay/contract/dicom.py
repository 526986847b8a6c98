"""The facts read from a DICOM header for grouping, ordering, windowing and acceptance. No arrays and no identity."""

from typing import Final

from maskrelay.contract.outcomes import Record

Vector = tuple[float, float, float]
#: Row direction cosines, then column direction cosines, in patient coordinates (LPS+).
Orientation = tuple[float, float, float, float, float, float]

#: A value that tells two slices at one position apart; 0, an empty text or an empty tuple where it is absent.
Mark = float | str | tuple[float, ...]

#: The marks in the order of `DicomFacts.ordinal`. Times are in milliseconds but for the two clocks, in seconds.
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
#: Marks that say what a picture shows: slices that differ in one of them are never of one volume.
KINDS: Final = (
    "image_type",
    "echo_time",
    "echo_number",
    "b_value",
    "gradient_direction",
    "temporal_position",
    "inversion_time",
)
#: Marks that may differ from slice to slice of one volume, so that only their order at a place tells volumes apart.
CLOCKS: Final = ("trigger_time", "frame_reference_time", "acquisition_time", "content_time")


class DicomFacts(Record):
    """One object. Of every tag that is absent the field is None, and of lists and UIDs they are empty.

    positions, orientations: one a frame (millimetres and cosines, LPS+), or empty where the object gives none.
    spacing: millimetres between rows, between columns. windows: VOI (centre, width) in modality units.
    expected: how many objects the series says to have. acquired: how many its acquisition had, of which the series may
    show a part, or another number once they are reformatted. burned_in: BurnedInAnnotation. ordinal: what tells two
    objects at one position apart, as `MARKS` names it. frame_ordinals: the same for each frame of an enhanced object.
    patient: a keyed hash of what identifies the patient. pixels: a hash of the stored pixels and of what gives them
    their meaning, empty where they were not read.
    slice_distance: SpacingBetweenSlices. units: RescaleType, such as HU. voi_function: how the windows are meant if
    not linear. image_type: ImageType, among others to know a localizer. conversion: where a secondary capture comes
    from (`SD`: a scanned document). rescale: slope and intercept of the first frame, None where the object gives none.
    total_matrix: columns and rows of the whole slide that an object's tiles are parts of. label_in_image: whether a
    slide's label is in the picture. mosaic: how many slices a Siemens mosaic says it holds. findings: by code, where
    the header and the pixels disagree, and what is left out.
    """

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
    spacing: tuple[float, float] | None = None
    positions: tuple[Vector, ...] = ()
    orientations: tuple[Orientation, ...] = ()
    thickness: float | None = None
    windows: tuple[tuple[float, float], ...] = ()
    instance_number: int | None = None
    ordinal: tuple[Mark, ...] = ()
    expected: int | None = None
    burned_in: bool | None = None
    frame_ordinals: tuple[tuple[Mark, ...], ...] = ()
    slice_distance: float | None = None
    units: str | None = None
    voi_function: str | None = None
    image_type: tuple[str, ...] = ()
    conversion: str | None = None
    patient: str = ""
    series_number: int | None = None
    pixels: str = ""
    acquired: int | None = None
    rescale: tuple[float, float] | None = None
    total_matrix: tuple[int, int] | None = None
    label_in_image: bool | None = None
    mosaic: int | None = None
    findings: dict[str, tuple[int | str, ...]] = {}
