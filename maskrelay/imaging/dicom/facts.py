"""Reading of the facts in the header of a DICOM object, which are the fields of `DicomFacts`.

The facts are used to group and order objects, to choose a window, and to decide whether an image may be sent.
"""

import hashlib
import hmac
from collections.abc import Collection

from pydicom import Dataset

from maskrelay.contract.records.dicom_facts import DicomFacts
from maskrelay.errors import NotAPicture, TagInvalid
from maskrelay.imaging.dicom import geometry
from maskrelay.imaging.dicom.allowed_tags import MOSAIC_COUNT, MOSAIC_CREATOR
from maskrelay.imaging.dicom.damage import named_damage
from maskrelay.imaging.dicom.disagreements import find_disagreements
from maskrelay.imaging.dicom.display_windows import voi_function, voi_windows
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups, read_groups
from maskrelay.imaging.dicom.header import Header, PixelElement, read_header
from maskrelay.imaging.dicom.marks import frame_marks, marks_of
from maskrelay.imaging.dicom.modality import Rescale, read_modality
from maskrelay.imaging.dicom.planes import read_frames
from maskrelay.imaging.dicom.sample_layout import SampleLayout, read_layout
from maskrelay.imaging.dicom.stream import Source, opened
from maskrelay.imaging.dicom.tags import items, number, text, uid, value_of, values_of

#: The tags that identify a patient. They are hashed together.
_IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
#: The tags that give stored pixels their meaning. They are hashed together with the pixels.
_MEANING = ("PhotometricInterpretation", "PixelRepresentation", "BitsStored", "RescaleSlope", "RescaleIntercept")
#: The size, in bytes, of the largest frame whose pixels are hashed. Duplicates of larger frames, and of objects with
#: several frames, are found by their SOP instance UID.
_HASHED_BYTES = 64 << 20


#: The SOP classes of segmentations and label maps, which are never images to segment.
_SEGMENTATIONS = frozenset(f"1.2.840.10008.5.1.4.1.1.{leaf}" for leaf in ("66.4", "66.7"))
#: The same SOP classes, and that of doses. A dose that is found among other objects is not an image to segment.
_DERIVED = _SEGMENTATIONS | {"1.2.840.10008.5.1.4.1.1.481.2"}


def read_facts(source: Source, *, key: bytes = b"", among_others: bool = False) -> DicomFacts:
    """Read the header of `source`: bytes, or the path of a file. The pixels are hashed but not decoded.

    `key` is the key for the hash of the patient's identity. `among_others` means that the object was found among other
    objects and was not submitted itself. In this case, a dose is not accepted as an image, and an object that is not an
    image is refused before its layout is read.

    Raises only subclasses of ItemError: those of `header.read_header`, `sample_layout.read_layout`,
    `functional_groups.read_groups` and `planes.read_frames`, TagInvalid if the geometry is invalid, and NotAPicture if
    the object is not an image. The function therefore refuses every object whose header `planes.open_planes` would
    refuse.
    """
    with named_damage():
        header = read_header(source)
        if among_others:
            _check_is_picture(header.dataset, _DERIVED)
        layout, pixels = read_layout(header)
        _check_is_picture(header.dataset, _SEGMENTATIONS)
        groups = read_groups(header.dataset, layout.frames)
        found = find_disagreements(header, layout, pixels, read_frames(header, layout, pixels))
        more = {
            "patient": _patient(header.dataset, key),
            "pixels": _pixels(header, layout, pixels),
            "findings": found.findings,
            "bits": _bits(header, layout, groups, found.bits),
        }
        return _facts(header, layout, groups).model_copy(update=more)


def _bits(header: Header, layout: SampleLayout, groups: FunctionalGroups, bits: int) -> int:
    """Return the bits per sample after the modality transformation.

    It is 16 if gray samples of at most 8 bits are changed by the transformation. Otherwise, it is `bits`.
    """
    if bits > 8 or layout.samples > 1 or layout.photometric == "PALETTE COLOR":
        return bits
    modality = read_modality(header.dataset, groups, layout, 0, little=header.little_endian)
    return bits if modality == Rescale() else 16


def _check_is_picture(dataset: Dataset, others: Collection[str]) -> None:
    sop_class = uid(dataset, "SOPClassUID")
    if sop_class in others or text(dataset, "Modality") == "SEG":
        raise NotAPicture(f"The object's class is {sop_class or 'not given'}.")


def _patient(dataset: Dataset, key: bytes) -> str:
    """Return a keyed hash of the patient's identity. Letter case and padding of names make no difference."""
    found = []
    for keyword in _IDENTITY:
        try:
            value = str(value_of(dataset, keyword) or "")
        except TagInvalid:
            value = ""
        found.append(" ".join(value.replace("^", " ").split()).casefold())
    return hmac.digest(key, "\0".join(found).encode(), "sha256").hex()[:16] if any(found) else ""


def _pixels(header: Header, layout: SampleLayout, pixels: PixelElement) -> str:
    """Return a hash of the stored pixels. It is empty if there are several frames, or too many bytes."""
    if layout.frames > 1 or pixels.available > _HASHED_BYTES:
        return ""
    meaning = [str(header.transfer_syntax), *(str(header.dataset.get(keyword, "")) for keyword in _MEANING)]
    digest = hashlib.blake2b("\0".join(meaning).encode(), digest_size=16)
    with opened(header.source) as stream:
        stream.seek(pixels.offset)
        digest.update(stream.read(pixels.available))
    return digest.hexdigest()


def _facts(header: Header, layout: SampleLayout, groups: FunctionalGroups) -> DicomFacts:
    dataset, frames = header.dataset, layout.frames
    instance, series_number = number(dataset, "InstanceNumber"), number(dataset, "SeriesNumber")
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
        aspect=geometry.aspect(dataset),
        positions=geometry.positions(dataset, groups, frames),
        orientations=geometry.orientations(dataset, groups, frames),
        thickness=geometry.thickness(dataset, groups, frames),
        slice_distance=geometry.slice_distance(dataset, groups, frames),
        windows=voi_windows(dataset, groups),
        voi_function=voi_function(dataset, groups),
        units=_units(dataset, groups),
        instance_number=None if instance is None else int(instance),
        series_number=None if series_number is None else int(series_number),
        ordinal=marks_of(dataset),
        frame_ordinals=tuple(frame_marks(groups, index) for index in range(frames)) if groups else (),
        expected=_count(dataset, "NumberOfSeriesRelatedInstances"),
        acquired=_count(dataset, "ImagesInAcquisition"),
        burned_in={"YES": True, "NO": False}.get(text(dataset, "BurnedInAnnotation") or ""),
        image_type=_image_type(dataset),
        conversion=text(dataset, "ConversionType"),
        rescale=_rescale(dataset, groups),
        mosaic=_mosaic(dataset),
        total_matrix=_total_matrix(dataset),
        label_in_image={"YES": True, "NO": False}.get(text(dataset, "SpecimenLabelInImage") or ""),
    )


def _count(dataset: Dataset, keyword: str) -> int | None:
    found = number(dataset, keyword)
    return int(found) if found is not None and found >= 1 else None


def _image_type(dataset: Dataset) -> tuple[str, ...]:
    try:
        words = [str(word).strip() for word in values_of(dataset, "ImageType")]
    except Exception:  # noqa: BLE001  the tag is only informative
        return ()
    return tuple(word for word in words[:8] if len(word) <= 16 and word.isascii() and word.isprintable())


def _units(dataset: Dataset, groups: FunctionalGroups) -> str | None:
    """Return RescaleType, or the units of the first real world value mapping."""
    macro = groups.macro("PixelValueTransformationSequence", 0)
    found = text(dataset, "RescaleType") or (text(macro, "RescaleType") if macro is not None else None)
    return found or _mapped_units(dataset, groups)


def _mapped_units(dataset: Dataset, groups: FunctionalGroups) -> str | None:
    try:
        mapping = groups.macro("RealWorldValueMappingSequence", 0) or next(
            iter(items(dataset, "RealWorldValueMappingSequence")), None
        )
        units = items(mapping, "MeasurementUnitsCodeSequence") if mapping is not None else ()
    except TagInvalid:
        return None
    return text(units[0], "CodeValue") if units else None


def _rescale(dataset: Dataset, groups: FunctionalGroups) -> tuple[float, float] | None:
    place = groups.macro("PixelValueTransformationSequence", 0)
    slope, intercept = (number(place or dataset, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    return None if slope is None or intercept is None else (slope, intercept)


def _mosaic(dataset: Dataset) -> int | None:
    """Return the number of slices in a mosaic, if the private element is that of Siemens."""
    try:
        creator, count = dataset.get(MOSAIC_CREATOR), dataset.get(MOSAIC_COUNT)
        own = creator is not None and str(creator.value).strip() == "SIEMENS MR HEADER"
        return int(count.value) if own and count is not None else None
    except Exception:  # noqa: BLE001  the element is only informative
        return None


def _total_matrix(dataset: Dataset) -> tuple[int, int] | None:
    columns, rows = (number(dataset, f"TotalPixelMatrix{side}") for side in ("Columns", "Rows"))
    return (int(columns), int(rows)) if columns and rows else None
