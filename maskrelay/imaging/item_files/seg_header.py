"""The header of a segmentation object: the patient, the segments, and the software that created it.

The DICOM modules that it contains are those of PS3.3, A.51 (Segmentation IOD), with C.8.20.2 (Segmentation Image),
C.7.6.16 (Multi-frame Functional Groups) and C.7.6.17 (Multi-frame Dimension).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from maskrelay.contract.vocabulary.segment_codes import Code, SegmentCodes
from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.item_files.seg_sources import SourceFrame, copy_value, uid_of

ALGORITHM = "MedImageParse"
_RESEARCH = "MedImageParse segmentation, research use only"
_NOTICE = "For research only, not for clinical use"
_IMPLEMENTATION = uuid.uuid5(uuid.NAMESPACE_URL, "maskrelay:implementation")
#: Attributes of the patient and the study, which are the same in all objects of a study. They are of type 2, so they
#: are written with an empty value if the source does not have them.
_EMPTY_IF_ABSENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
_IF_PRESENT = (
    "IssuerOfPatientID",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "StudyDescription",
    "TimezoneOffsetFromUTC",
)
_LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True)
class Segment:
    """A prompt, and the codes of its segment."""

    prompt: str
    codes: SegmentCodes


@dataclass(frozen=True)
class Making:
    """The values that describe the creation of the object. The same values always give the same bytes."""

    #: A hash of everything that determines the pixels. The UIDs are derived from it.
    fingerprint: str
    #: The time of creation, with a time zone.
    made: datetime
    #: The name and version of this software.
    software: str
    #: The version of MedImageParse that the endpoint declares.
    model_version: str


def derived_uid(fingerprint: str, part: str) -> str:
    """Return a UID that is derived from a name-based UUID (DICOM PS3.5, B.2). It is the same for the same arguments."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'maskrelay:{fingerprint}:{part}').int}"


def seg_header(source: Dataset, frames: Sequence[SourceFrame], segments: Sequence[Segment], making: Making) -> Dataset:
    """Return all attributes except functional groups, dimensions and pixels.

    `source` is the header of the first source object.
    """
    header = Dataset()
    _add_identity(header, source)
    _add_making(header, making)
    _add_pixels(header, source, frames[0].size)
    header.SegmentSequence = _segments(segments, making)
    header.ReferencedSeriesSequence = _references(frames)
    return header


def file_meta(header: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(f"2.25.{_IMPLEMENTATION.int}")
    meta.ImplementationVersionName = "MASKRELAY"
    return meta


def _add_identity(header: Dataset, source: Dataset) -> None:
    # UTF-8, because prompts may contain letters that are not in the character set of the source
    header.SpecificCharacterSet = "ISO_IR 192"
    header.StudyInstanceUID = source.StudyInstanceUID
    for keyword in _EMPTY_IF_ABSENT:
        _copy_or_empty(header, source, keyword)
    for keyword in _IF_PRESENT:
        copy_value(header, source, keyword)
    # PatientIdentityRemoved without a method of de-identification would make the object invalid
    if "DeidentificationMethod" in header or "DeidentificationMethodCodeSequence" in header:
        copy_value(header, source, "PatientIdentityRemoved")
    if (frame_of_reference := uid_of(source, "FrameOfReferenceUID")) is not None:
        header.FrameOfReferenceUID = frame_of_reference
        _copy_or_empty(header, source, "PositionReferenceIndicator")
    # PatientOrientation describes the orientation of an image that has no position
    _copy_or_empty(header, source, "PatientOrientation")


def _copy_or_empty(header: Dataset, source: Dataset, keyword: str) -> None:
    if not copy_value(header, source, keyword):
        setattr(header, keyword, None)


def _add_making(header: Dataset, making: Making) -> None:
    header.SOPClassUID = SegmentationStorage
    header.SOPInstanceUID = derived_uid(making.fingerprint, "instance")
    header.SeriesInstanceUID = derived_uid(making.fingerprint, "series")
    header.Modality = "SEG"
    header.SeriesNumber = 1000
    header.InstanceNumber = 1
    header.SeriesDescription = _RESEARCH
    header.ContentQualification = "RESEARCH"
    header.ContentLabel = "MEDIMAGEPARSE"
    header.ContentDescription = _NOTICE
    header.ContentCreatorName = None
    for word in ("Series", "Content"):
        setattr(header, f"{word}Date", making.made.strftime("%Y%m%d"))
        setattr(header, f"{word}Time", making.made.strftime("%H%M%S"))
    header.Manufacturer = "maskrelay"
    header.ManufacturerModelName = ALGORITHM
    header.DeviceSerialNumber = "1"  # must not be empty, although software has no serial number
    header.SoftwareVersions = [_long(making.software), _long(making.model_version)]


def _add_pixels(header: Dataset, source: Dataset, size: tuple[int, int]) -> None:
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = size
    header.BitsAllocated = header.BitsStored = 1
    header.HighBit = header.PixelRepresentation = 0
    header.SegmentationType = "BINARY"
    header.SegmentsOverlap = "UNDEFINED"
    if copy_value(header, source, "LossyImageCompression") and header.LossyImageCompression == "01":
        for keyword in _LOSSY:
            copy_value(header, source, keyword)
    else:
        header.LossyImageCompression = "00"


def _segments(segments: Sequence[Segment], making: Making) -> list[Dataset]:
    identification = AlgorithmIdentificationSequence(
        name=ALGORITHM, family=codes.DCM.ArtificialIntelligence, version=_long(making.model_version)
    )
    labels = segment_labels([segment.prompt for segment in segments])
    return [
        SegmentDescription(
            segment_number=number + 1,
            segment_label=label,
            segmented_property_category=_concept(segment.codes.category),
            segmented_property_type=_concept(segment.codes.type),
            algorithm_type="AUTOMATIC",
            algorithm_identification=identification,
            display_color=CIELabColor.from_rgb(*colour_of(number)),
        )
        for number, (segment, label) in enumerate(zip(segments, labels, strict=True))
    ]


def segment_labels(prompts: Sequence[str]) -> list[str]:
    """Return a different label for each prompt, with at most 64 characters.

    Backslashes are replaced, because they separate values in DICOM.
    """
    labels: list[str] = []
    for prompt in prompts:
        plain = prompt.replace("\\", "/").strip() or "segment"
        label, count = plain[:64].strip(), 1
        while label in labels:
            count += 1
            label = f"{plain[: 64 - len(f' ({count})')].strip()} ({count})"
        labels.append(label)
    return labels


def _long(text: str) -> str:
    """Return a valid value of the DICOM type LO. It is never empty."""
    return text.replace("\\", "/").strip()[:64] or "unknown"


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def _references(frames: Sequence[SourceFrame]) -> list[Dataset]:
    """Return references to all source objects, by series and in order. Each object is included once."""
    by_series: dict[str, dict[str, str]] = {}
    for frame in frames:
        by_series.setdefault(frame.series, {})[frame.sop_instance] = frame.sop_class
    return [_series(uid, objects) for uid, objects in by_series.items()]


def _series(uid: str, objects: dict[str, str]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = uid
    series.ReferencedInstanceSequence = [reference(sop_class, instance) for instance, sop_class in objects.items()]
    return series


def reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = instance
    return item
