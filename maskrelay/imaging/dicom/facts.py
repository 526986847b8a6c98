"""What an object's header says, as far as grouping, ordering, windowing and judging it need."""

import hashlib
import hmac

from pydicom import Dataset

from maskrelay.contract.dicom import DicomFacts
from maskrelay.errors import TagInvalid
from maskrelay.imaging.dicom import geometry
from maskrelay.imaging.dicom.damage import named_damage
from maskrelay.imaging.dicom.groups import Groups, read_groups
from maskrelay.imaging.dicom.header import Header, PixelElement, read_header
from maskrelay.imaging.dicom.layout import Layout, read_layout
from maskrelay.imaging.dicom.marks import frame_marks, marks_of
from maskrelay.imaging.dicom.planes import read_frames
from maskrelay.imaging.dicom.stream import Source, opened
from maskrelay.imaging.dicom.tags import number, text, uid, value_of, values_of
from maskrelay.imaging.dicom.windows import voi_function, voi_windows

#: What identifies a patient, hashed together.
_IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
#: What gives stored pixels their meaning, hashed with them.
_MEANING = ("PhotometricInterpretation", "PixelRepresentation", "BitsStored", "RescaleSlope", "RescaleIntercept")
#: A frame of so many bytes is read for its hash; longer ones, and those of several, are compared by their identity.
_HASHED_BYTES = 64 << 20


def read_facts(source: Source, *, key: bytes = b"") -> DicomFacts:
    """Read the header of `source` (bytes, or the path of a file); its pixels are hashed and not decoded.

    key: under which the patient's identity is hashed.

    An object that `planes.open_planes` could not read for a reason its header shows is refused here already. Raises
    ItemErrors alone: those of `header.read_header` and `layout.read_layout`, and TagInvalid for a broken geometry.
    """
    with named_damage():
        header = read_header(source)
        layout, pixels = read_layout(header)
        read_frames(header, layout, pixels)
        facts = _facts(header, layout, read_groups(header.dataset, layout.frames))
        hashed = {"patient": _patient(header.dataset, key), "pixels": _pixels(header, layout, pixels)}
        return facts.model_copy(update=hashed)


def _patient(dataset: Dataset, key: bytes) -> str:
    """A keyed hash by which objects of two patients differ; names are compared without case and padding."""
    found = []
    for keyword in _IDENTITY:
        try:
            value = str(value_of(dataset, keyword) or "")
        except TagInvalid:
            value = ""
        found.append(" ".join(value.replace("^", " ").split()).casefold())
    return hmac.digest(key, "\0".join(found).encode(), "sha256").hex()[:16] if any(found) else ""


def _pixels(header: Header, layout: Layout, pixels: PixelElement) -> str:
    """A hash of the one frame as it is stored; empty for several frames, or for more bytes than are read for it."""
    if layout.frames > 1 or pixels.available > _HASHED_BYTES:
        return ""
    meaning = [str(header.transfer_syntax), *(str(header.dataset.get(keyword, "")) for keyword in _MEANING)]
    digest = hashlib.blake2b("\0".join(meaning).encode(), digest_size=16)
    with opened(header.source) as stream:
        stream.seek(pixels.offset)
        digest.update(stream.read(pixels.available))
    return digest.hexdigest()


def _facts(header: Header, layout: Layout, groups: Groups) -> DicomFacts:
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
    )


def _count(dataset: Dataset, keyword: str) -> int | None:
    found = number(dataset, keyword)
    return int(found) if found is not None and found >= 1 else None


def _image_type(dataset: Dataset) -> tuple[str, ...]:
    try:
        words = [str(word).strip() for word in values_of(dataset, "ImageType")]
    except Exception:  # noqa: BLE001  it only informs
        return ()
    return tuple(word for word in words[:8] if len(word) <= 16 and word.isascii() and word.isprintable())


def _units(dataset: Dataset, groups: Groups) -> str | None:
    macro = groups.macro("PixelValueTransformationSequence", 0)
    return text(dataset, "RescaleType") or (text(macro, "RescaleType") if macro is not None else None)
