"""What an object's header says, as far as grouping, ordering, windowing and judging it need."""

from pydicom import Dataset

from maskrelay.contract.dicom import DicomFacts
from maskrelay.imaging.dicom import geometry
from maskrelay.imaging.dicom.damage import named_damage
from maskrelay.imaging.dicom.groups import Groups, read_groups
from maskrelay.imaging.dicom.header import Header, read_header
from maskrelay.imaging.dicom.layout import Layout, read_layout
from maskrelay.imaging.dicom.stream import Source
from maskrelay.imaging.dicom.tags import number, text, uid, values_of
from maskrelay.imaging.dicom.wanted import ORDINAL
from maskrelay.imaging.dicom.windows import voi_function, voi_windows

#: Where an enhanced object keeps the numbers of `ORDINAL`: macro and tag; None where it has none.
_OF_FRAME: tuple[tuple[str, str] | None, ...] = (
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    None,
    ("MREchoSequence", "EffectiveEchoTime"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("MRModifierSequence", "InversionTimes"),
    None,
)


def read_facts(source: Source) -> DicomFacts:
    """Read the header of `source` (bytes, or the path of a file), not its pixels.

    An object that `planes.open_planes` could not read for a reason its header shows is refused here already. Raises
    ItemErrors alone: those of `header.read_header` and `layout.read_layout`, and TagInvalid for a broken geometry.
    """
    with named_damage():
        header = read_header(source)
        layout, _ = read_layout(header)
        return _facts(header, layout, read_groups(header.dataset, layout.frames))


def _facts(header: Header, layout: Layout, groups: Groups) -> DicomFacts:
    dataset, frames = header.dataset, layout.frames
    instance = number(dataset, "InstanceNumber")
    return DicomFacts(
        sop_class=uid(dataset, "SOPClassUID"),
        sop_instance=uid(dataset, "SOPInstanceUID"),
        study=uid(dataset, "StudyInstanceUID"),
        series=uid(dataset, "SeriesInstanceUID"),
        frame_of_reference=uid(dataset, "FrameOfReferenceUID") or None,
        modality=text(dataset, "Modality") or "",
        body_part=text(dataset, "BodyPartExamined"),
        rows=layout.rows,
        columns=layout.columns,
        frames=frames,
        samples=layout.samples,
        bits=layout.stored,
        photometric=layout.photometric,
        transfer_syntax=str(layout.transfer_syntax),
        spacing=geometry.spacing(dataset, groups, frames),
        positions=geometry.positions(dataset, groups, frames),
        orientations=geometry.orientations(dataset, groups, frames),
        thickness=geometry.thickness(dataset, groups, frames),
        slice_distance=geometry.slice_distance(dataset, groups, frames),
        windows=voi_windows(dataset, groups),
        voi_function=voi_function(dataset, groups),
        units=_units(dataset, groups),
        instance_number=None if instance is None else int(instance),
        ordinal=tuple(number(dataset, keyword) or 0.0 for keyword in ORDINAL),
        frame_ordinals=tuple(_ordinal(groups, index) for index in range(frames)) if groups else (),
        expected=_expected(dataset),
        burned_in={"YES": True, "NO": False}.get(text(dataset, "BurnedInAnnotation") or ""),
        image_type=_image_type(dataset),
        conversion=text(dataset, "ConversionType"),
    )


def _ordinal(groups: Groups, index: int) -> tuple[float, ...]:
    found = []
    for place in _OF_FRAME:
        macro = groups.macro(place[0], index) if place else None
        found.append(0.0 if macro is None or place is None else number(macro, place[1]) or 0.0)
    return tuple(found)


def _expected(dataset: Dataset) -> int | None:
    """The series' own number first: an acquisition may be one of several in a series."""
    for keyword in ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition"):
        found = number(dataset, keyword)
        if found is not None and found >= 1:
            return int(found)
    return None


def _image_type(dataset: Dataset) -> tuple[str, ...]:
    try:
        words = [str(word).strip() for word in values_of(dataset, "ImageType")]
    except Exception:  # noqa: BLE001  it only informs
        return ()
    return tuple(word for word in words[:8] if len(word) <= 16 and word.isascii() and word.isprintable())


def _units(dataset: Dataset, groups: Groups) -> str | None:
    macro = groups.macro("PixelValueTransformationSequence", 0)
    return text(dataset, "RescaleType") or (text(macro, "RescaleType") if macro is not None else None)
