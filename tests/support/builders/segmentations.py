"""Segmentations from real headers, and a reader of them that follows only the standard and no library."""

import io
import warnings
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from maskrelay.contract.vocabulary.segment_codes import codes_of
from maskrelay.imaging.item_files.seg import write_seg
from maskrelay.imaging.item_files.seg_header import Making, Segment

MAKING = Making("3f2a", datetime(2026, 5, 4, 13, 14, 15, tzinfo=UTC), "maskrelay 0.1.0", "4")
PROMPTS = ("liver tumor in abdomen CT", "left kidney")
#: Sources by name: files of pydicom's bundled test set, each of one series.
SOURCES: dict[str, tuple[str, ...]] = {
    "ct": ("CT_small.dcm",),
    "ct-series": tuple(f"dicomdirtests/98892001/CT5N/{number}" for number in (2062, 2392, 2693, 3023, 3353)),
    "mr": ("MR_small.dcm",),
    "mr-series": tuple(
        f"dicomdirtests/98892003/MR700/{number}" for number in (4467, 4528, 4558, 4588, 4618, 4648, 4678)
    ),
    "us-multiframe": ("examples_ybr_color.dcm",),
    "us": ("examples_rgb_color.dcm",),
    "cr": ("dicomdirtests/77654033/CR1/6154",),
    "ct-without-frame-of-reference": ("693_J2KI.dcm",),
    "sc-two-frames": ("SC_rgb_rle_2frame.dcm",),
}
#: The sources above that only highdicom can make: enhanced multi-frame objects.
ODD = "ct-odd-sized"  # the series' headers with 13 × 11 pixels, so that frames do not end with a byte
ENHANCED = {"ct-enhanced": "ct-series", "mr-enhanced": "mr-series"}


@cache
def headers(name: str) -> tuple[Dataset, ...]:
    """Return the headers of a source's objects, without pixels."""
    if name in ENHANCED:
        return (_enhanced(ENHANCED[name]),)
    objects = tuple(_read(file, pixels=False) for file in SOURCES["ct-series" if name == ODD else name])
    for header in objects if name == ODD else ():
        header.Rows, header.Columns = 13, 11
    return objects


def _read(file: str, *, pixels: bool) -> Dataset:
    path = get_testdata_file(file, download=False) or Path(pydicom.__path__[0], "data", "test_files", file)
    header = pydicom.dcmread(path, stop_before_pixels=not pixels)
    if header.get("FrameOfReferenceUID") == header.get("StudyInstanceUID"):
        # The bundled MR series has the same UID twice in an object, which the standard does not allow.
        header.FrameOfReferenceUID = f"{header.StudyInstanceUID}.1"
    return header


def _enhanced(name: str) -> Dataset:
    objects = [_read(file, pixels=True) for file in SOURCES[name]]
    kind = {
        "CT": hd.legacy.LegacyConvertedEnhancedCTImage,
        "MR": hd.legacy.LegacyConvertedEnhancedMRImage,
    }[objects[0].Modality]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = kind(objects, "1.2.826.0.1.3680043.9.7", 1, "1.2.826.0.1.3680043.9.8", 1)
    del made.PixelData
    return made


def frames_of(objects: tuple[Dataset, ...]) -> list[tuple[int, int]]:
    """Return every frame of every object, in order."""
    counts = [int(header.get("NumberOfFrames") or 1) for header in objects]
    return [(number, frame) for number, count in enumerate(counts) for frame in range(count)]


def random_masks(objects: tuple[Dataset, ...], seed: int = 0) -> np.ndarray:
    """Return (prompts, frames, rows, columns) bool.

    If there are several frames, the second prompt is not in the first one.
    """
    frames = len(frames_of(objects))
    shape = (len(PROMPTS), frames, objects[0].Rows, objects[0].Columns)
    masks = np.random.default_rng(seed).random(shape) < 0.3
    masks[1, 0] &= frames == 1
    return masks


def seg_bytes(objects: tuple[Dataset, ...], masks: np.ndarray, making: Making = MAKING) -> bytes:
    out = io.BytesIO()
    segments = [Segment(prompt, codes_of(prompt, None)) for prompt in PROMPTS]
    write_seg(
        out, frames_of(objects), objects.__getitem__, segments, lambda frame, prompt: masks[prompt, frame], making
    )
    return out.getvalue()


def opened(file: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(file))


def plain_masks(seg: Dataset) -> dict[tuple[int, str, int], np.ndarray]:
    """Return (segment number, source instance, source frame from 1) → mask, using only PS3.5
    8.1.1 and PS3.3 C.7.6.16.
    """
    size = seg.Rows * seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little").astype(bool)
    found = {}
    for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        [source] = groups.DerivationImageSequence[0].SourceImageSequence
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        key = (segment, source.ReferencedSOPInstanceUID, int(source.get("ReferencedFrameNumber", 1)))
        found[key] = bits[number * size : (number + 1) * size].reshape(seg.Rows, seg.Columns)
    return found


def expected_masks(objects: tuple[Dataset, ...], masks: np.ndarray) -> dict[tuple[int, str, int], np.ndarray]:
    """Return what `plain_masks` must find: every mask that has foreground."""
    return {
        (prompt + 1, objects[number].SOPInstanceUID, frame + 1): masks[prompt, place]
        for prompt in range(len(masks))
        for place, (number, frame) in enumerate(frames_of(objects))
        if masks[prompt, place].any()
    }


def same_masks(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
