"""What is read of a DICOM object's header: enough to group, order, window and judge it. No arrays, no identity."""

from maskrelay.contract.outcomes import Record

Vector = tuple[float, float, float]
#: Row direction cosines, then column direction cosines, in patient coordinates (LPS+).
Orientation = tuple[float, float, float, float, float, float]


class DicomFacts(Record):
    """One object. Of every tag that is absent the field is None, and of lists and UIDs they are empty.

    positions, orientations: one a frame (millimetres and cosines, LPS+), or empty where the object gives none.
    spacing: millimetres between rows, between columns. windows: VOI (centre, width) in modality units.
    expected: how many objects the series says to have. burned_in: BurnedInAnnotation. ordinal: what tells two
    objects at one position apart, 0 where absent: acquisition, echo number, echo time, temporal position, trigger
    time, b-value, inversion time, frame reference time. frame_ordinals: the same for each frame of an enhanced object.
    slice_distance: SpacingBetweenSlices. units: RescaleType, such as HU. voi_function: how the windows are meant if
    not linear. image_type: ImageType, among others to know a localizer. conversion: where a secondary capture comes
    from (`SD`: a scanned document).
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
    ordinal: tuple[float, ...] = ()
    expected: int | None = None
    burned_in: bool | None = None
    frame_ordinals: tuple[tuple[float, ...], ...] = ()
    slice_distance: float | None = None
    units: str | None = None
    voi_function: str | None = None
    image_type: tuple[str, ...] = ()
    conversion: str | None = None
