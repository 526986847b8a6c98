"""DICOM objects with what the bundled files lack: palettes in segments, tables, functional groups, regions."""

import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from tests.support.builders.dicoms import dicom_of, item


def made_objects() -> list[bytes]:
    gray = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    colour = np.zeros((20, 30, 3), np.uint8)
    everything = {**_table(), **_regions(), "PixelPaddingValue": 5, "PixelPaddingRangeLimit": 9}
    return [
        dicom_of(gray, ImplicitVRLittleEndian, **everything),
        dicom_of(gray, DeflatedExplicitVRLittleEndian, **_regions()),
        dicom_of(gray.astype(np.int16), ExplicitVRBigEndian, RescaleSlope="0.5", RescaleIntercept="-7"),
        dicom_of(np.stack([gray] * 4), **_groups(4)),
        dicom_of(np.stack([gray] * 4), ImplicitVRLittleEndian, **_groups(4)),
        dicom_of(gray.astype(np.uint8), **_palette("", [1, 2, 3])),
        dicom_of(gray.astype(np.uint8), **_palette("Segmented", [0, 2, 0, 2560, 1, 4, 12800, 2, 1, 0, 0])),
        dicom_of(colour, PhotometricInterpretation="YBR_FULL_422"),
        dicom_of(colour, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1),
    ]


def _table() -> dict[str, object]:
    table = item(LUTDescriptor=[4, 0, 16], ModalityLUTType="US")
    table.add_new("LUTData", "OW", np.arange(4, dtype="<u2").tobytes())
    return {"ModalityLUTSequence": [table]}


def _regions() -> dict[str, object]:
    region = item(PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3, PhysicalDeltaX=0.05, PhysicalDeltaY=0.05)
    return {"SequenceOfUltrasoundRegions": [region]}


def _palette(prefix: str, entries: list[int]) -> dict[str, object]:
    count = 3 if not prefix else 8
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [count, 0, 16]
        tags[f"{prefix}{name}PaletteColorLookupTableData"] = np.array(entries, "<u2").tobytes()
    return tags


def _groups(frames: int) -> dict[str, object]:
    each = [
        item(
            PlanePositionSequence=item(ImagePositionPatient=[0, 0, 2 * index]),
            FrameContentSequence=item(TemporalPositionIndex=index + 1),
            PixelValueTransformationSequence=item(RescaleSlope=1 + index, RescaleIntercept=0, RescaleType="US"),
        )
        for index in range(frames)
    ]
    shared = item(
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=item(PixelSpacing=[1, 1]),
    )
    return {"PerFrameFunctionalGroupsSequence": each, "SharedFunctionalGroupsSequence": [shared]}
