"""The facts that are read from the header of a DICOM object.

They are used to group and order objects, to choose an intensity window, and to decide whether an image may be sent to
an endpoint. They contain nothing that identifies a patient.
"""

from typing import Final

from maskrelay.contract.record import Record

Vector = tuple[float, float, float]
#: The direction cosines of the rows, followed by those of the columns, in patient coordinates (LPS+).
Orientation = tuple[float, float, float, float, float, float]

#: A value that can distinguish two slices at the same position. If the header lacks the value, the mark is 0, an empty
#: string or an empty tuple.
Mark = float | str | tuple[float, ...]

#: The names of the marks, in the order of `DicomFacts.ordinal`. Durations are in milliseconds. The last two marks are
#: times in seconds since 1900, or since midnight if the header contains no date.
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
#: The marks that describe the kind of image. If slices at the same position differ in such a mark, each volume contains
#: only slices with one value of this mark.
KINDS: Final = (
    "image_type",
    "echo_time",
    "echo_number",
    "b_value",
    "gradient_direction",
    "temporal_position",
    "inversion_time",
)
#: The marks that are times. They may differ between slices of the same volume. If several slices have the same
#: position, their order by one of these marks can show to which volume each of them belongs.
CLOCKS: Final = ("trigger_time", "frame_reference_time", "acquisition_time", "content_time")


class DicomFacts(Record):
    """The facts of one object. If a tag is absent, the field is None, or an empty list or string."""

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
    #: The distances between rows and between columns, in millimetres.
    spacing: tuple[float, float] | None = None
    #: One position for each frame (millimetres, LPS+). Empty if the object has no positions.
    positions: tuple[Vector, ...] = ()
    #: One orientation for each frame (cosines, LPS+). Empty if the object has no orientations.
    orientations: tuple[Orientation, ...] = ()
    #: SliceThickness in millimetres.
    thickness: float | None = None
    #: The VOI windows (centre, width) in modality units.
    windows: tuple[tuple[float, float], ...] = ()
    instance_number: int | None = None
    #: The marks that can distinguish two objects at the same position, in the order of `MARKS`.
    ordinal: tuple[Mark, ...] = ()
    #: The number of objects in the series, as the header states it.
    expected: int | None = None
    #: BurnedInAnnotation.
    burned_in: bool | None = None
    #: The marks of each frame of an enhanced object.
    frame_ordinals: tuple[tuple[Mark, ...], ...] = ()
    #: SpacingBetweenSlices.
    slice_distance: float | None = None
    #: RescaleType, such as HU.
    units: str | None = None
    #: VOILUTFunction, which states how the windows are to be applied if they are not linear.
    voi_function: str | None = None
    #: ImageType. It is used to recognise localizers, for example.
    image_type: tuple[str, ...] = ()
    #: ConversionType, which is the origin of a secondary capture, such as `SD` for a scanned document.
    conversion: str | None = None
    #: A keyed hash of the values that identify the patient.
    patient: str = ""
    series_number: int | None = None
    #: A hash of the stored pixels and of the tags that give them their meaning. Empty if the pixels were not read.
    pixels: str = ""
    #: The number of objects in the acquisition, as the header states it. The series may contain only some of these
    #: objects, or it may contain reformatted images, whose number is different.
    acquired: int | None = None
    #: The slope and the intercept of the first frame. None if the object has neither.
    rescale: tuple[float, float] | None = None
    #: The columns and rows of the whole slide, if the object contains tiles of it.
    total_matrix: tuple[int, int] | None = None
    #: Whether the label of the slide is in the image.
    label_in_image: bool | None = None
    #: The number of slices in a Siemens mosaic, as the header states it.
    mosaic: int | None = None
    #: The height and the width of a pixel in an unknown unit (PixelAspectRatio).
    aspect: tuple[float, float] | None = None
    #: Observations, by code. They report contradictions between the header and the pixels, and parts of the object that
    #: are not used.
    findings: dict[str, tuple[int | str, ...]] = {}
