"""DICOM files for tests. They are small and exact, and some are broken on purpose."""

import io
import struct
from typing import Any

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.8.498."


def dataset_of(pixels: np.ndarray[Any, Any], **tags: Any) -> Dataset:
    """Return an image of shape (rows, columns), (rows, columns, 3) or (frames, rows, columns).

    The dtype of `pixels` determines the bits. `tags` replace what is set here; a tag with the value None is left out.
    """
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    bits = 8 * pixels.dtype.itemsize
    defaults = {
        "SOPClassUID": CT,
        "SOPInstanceUID": ROOT + "1",
        "StudyInstanceUID": ROOT + "2",
        "SeriesInstanceUID": ROOT + "3",
        "Modality": "CT",
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "NumberOfFrames": len(pixels) if pixels.ndim == 3 and not colour else None,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    dataset = Dataset()
    for keyword, value in {**defaults, **tags}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def saved(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the bytes of a file with preamble and meta header."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CT)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", ROOT + "1")
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def dicom_of(pixels: np.ndarray[Any, Any], syntax: str = ExplicitVRLittleEndian, **tags: Any) -> bytes:
    """Return an uncompressed object with these samples, in the byte order of the syntax."""
    dataset = dataset_of(pixels, **tags)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if order == ">" and pixels.dtype.itemsize == 1:
        raw = np.frombuffer(raw + b"\0" * (len(raw) % 2), "u2").byteswap().tobytes()
    return with_pixels(dataset, raw, syntax, "OW")


def with_pixels(dataset: Dataset, raw: bytes, syntax: str = ExplicitVRLittleEndian, vr: str = "OB") -> bytes:
    """Return an object with `raw` as PixelData, padded to an even length."""
    dataset.add_new("PixelData", vr, raw + b"\0" * (len(raw) % 2))
    return saved(dataset, syntax)


def compressed(pixels: np.ndarray[Any, Any], frames: list[bytes], syntax: str, **tags: Any) -> bytes:
    """Return an object with codestreams that a test has made."""
    dataset = dataset_of(pixels, **tags)
    dataset.add_new("PixelData", "OB", encapsulate(frames))
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset, syntax)


def item(**tags: Any) -> Dataset:
    """Return one item of a sequence. A dataset as a value becomes a sequence of one item."""
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, Sequence([value]) if isinstance(value, Dataset) else value)
    return dataset


def replaced(file: bytes, tag: tuple[int, int], value: bytes) -> bytes:
    """Return the file with the value of a short explicit little-endian element replaced by another
    of the same length.
    """
    place = file.index(struct.pack("<HH", *tag)) + 8
    return file[:place] + value + file[place + len(value) :]
