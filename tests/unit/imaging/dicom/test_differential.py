"""Generated objects as other readers see them: where pydicom and SimpleITK agree, ours is equal, or refuses by name.

Every header is combined with every transfer syntax, depth, sign, photometric form and planar configuration that it can
have, also with those that contradict each other. `REFUSED` lists what is refused although the two agree.
"""

import io
import itertools
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from maskrelay.errors import ItemError
from maskrelay.imaging.dicom import open_planes, read_facts
from tests.support.builders.codestreams import (
    BASELINE,
    JPEG_2000,
    JPEG_LS,
    LOSSLESS,
    jpeg,
    jpeg_2000,
    jpeg_ls_of,
    lossless,
    two_complement,
    with_adobe,
    with_ids,
    with_jfif,
)
from tests.support.builders.dicoms import (
    compressed,
    dataset_of,
    dicom_of,
    saved,
    with_pixels,
)

NATIVE = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
RNG = np.random.default_rng(20)
RAMP = np.add.outer(np.arange(34), np.arange(38))  # 0 … 70
COLOUR = np.kron(RNG.integers(0, 256, (4, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
YBR = convert_color_space(COLOUR, "RGB", "YBR_FULL")

#: By a word of the case's name, the code that it may be refused with.
REFUSED = {
    "Adobe 0 against YBR": "tag_invalid",  # they follow the header against the codestream
    "Adobe 1 against RGB": "tag_invalid",
    "transformed against YBR": "tag_invalid",
}


@dataclass(frozen=True)
class Case:
    name: str
    file: bytes


def signed_or_not(bits: int, *, signed: bool) -> np.ndarray:
    """Samples that fill `bits` bits with or without their sign."""
    values = RAMP * ((1 << bits) - 1) // RAMP.max()
    return values - (1 << bits - 1) if signed else values


def native() -> Iterator[Case]:
    for syntax, allocated, signed in itertools.product(NATIVE, (8, 16, 32), (False, True)):
        for stored in {8: (8, 7), 16: (16, 12, 10), 32: (32, 24)}[allocated]:
            samples = signed_or_not(stored, signed=signed).astype(f"{'i' if signed else 'u'}{allocated // 8}")
            name = f"native {syntax.name} {stored} of {allocated} signed {signed}"
            yield Case(name, dicom_of(samples, syntax, BitsStored=stored, HighBit=stored - 1))
            if stored < allocated:
                word = samples & samples.dtype.type((1 << stored) - 1)  # without the sign above the stored bits
                yield Case(
                    f"{name} without sign extension", dicom_of(word, syntax, BitsStored=stored, HighBit=stored - 1)
                )


ENCODERS = {JPEG_2000: jpeg_2000, JPEG_LS: jpeg_ls_of, LOSSLESS: lossless}


def depths() -> Iterator[Case]:
    """Codestreams whose precision is or is not BitsStored, with two's complements of either depth."""
    for (syntax, encode), precision, stored in itertools.product(ENCODERS.items(), (12, 13, 16), (12, 13, 16)):
        for signed, depth in itertools.product((False, True), sorted({min(precision, stored), precision})):
            samples = signed_or_not(depth, signed=signed)
            words = two_complement(samples, depth)
            tags = {"BitsStored": stored, "HighBit": stored - 1, "PixelRepresentation": int(signed)}
            name = f"{syntax} precision {precision} stored {stored} signed {signed} values of {depth} bits"
            yield Case(name, compressed(words, [encode(words, precision)], syntax, **tags))
            if syntax == JPEG_2000:
                own = (samples if signed else samples >> 1).astype(np.int16)
                yield Case(
                    f"{name} in a signed codestream", compressed(words, [encode(own, precision)], syntax, **tags)
                )


def bytes_and_words() -> Iterator[Case]:
    gray = signed_or_not(8, signed=False).astype(np.uint8)
    for (syntax, encode), kind in itertools.product(ENCODERS.items(), (np.uint8, np.uint16)):
        yield Case(f"{syntax} 8 bits in {kind.__name__}", compressed(gray.astype(kind), [encode(gray, 8)], syntax))
    yield Case("baseline gray", compressed(gray, [jpeg(gray)], BASELINE))


def run_length() -> Iterator[Case]:
    for allocated, signed in itertools.product((8, 16), (False, True)):
        for stored in {8: (8, 7), 16: (16, 12)}[allocated]:
            samples = signed_or_not(stored, signed=signed).astype(f"{'i' if signed else 'u'}{allocated // 8}")
            dataset = pydicom.dcmread(io.BytesIO(dicom_of(samples, BitsStored=stored, HighBit=stored - 1)))
            dataset.compress(RLELossless, generate_instance_uid=False)
            yield Case(f"RLE {stored} of {allocated} signed {signed}", saved(dataset, RLELossless))


def colours() -> Iterator[Case]:
    for syntax, planar in itertools.product(NATIVE, (0, 1)):
        for photometric, samples in (("RGB", COLOUR), ("YBR_FULL", YBR)):
            stored = np.moveaxis(samples, -1, 0) if planar else samples
            tags = {"PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
            plain = dicom_of(COLOUR, syntax, **tags)
            content = dicom_of(stored.reshape(COLOUR.shape), syntax, **tags)
            assert len(plain) == len(content) or syntax == DeflatedExplicitVRLittleEndian
            yield Case(f"native {syntax.name} {photometric} planar {planar}", content)
    for planar, (photometric, samples) in itertools.product((0, 1), (("RGB", COLOUR), ("YBR_FULL", YBR))):
        dataset = pydicom.dcmread(io.BytesIO(dicom_of(samples, PhotometricInterpretation=photometric)))
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.PlanarConfiguration = planar
        yield Case(f"RLE {photometric} planar {planar}", saved(dataset, RLELossless))
    yield from _colours_of_codestreams()


def _colours_of_codestreams() -> Iterator[Case]:
    plain = jpeg(COLOUR, rgb=True)
    streams = {
        (JPEG_2000, "plain"): jpeg_2000(COLOUR, 8),
        (JPEG_2000, "of YBR"): jpeg_2000(YBR, 8),
        (JPEG_2000, "transformed"): jpeg_2000(COLOUR, 8, transformed=True),
        (JPEG_LS, "plain"): jpeg_ls_of(COLOUR, 8),
        (JPEG_LS, "of YBR"): jpeg_ls_of(YBR, 8),
        (BASELINE, "plain"): plain,
        (BASELINE, "JFIF"): jpeg(COLOUR),
        (BASELINE, "JFIF 4:2:2"): jpeg(COLOUR, subsampling=1),
        (BASELINE, "JFIF and ids"): with_jfif(with_ids(plain, b"RGB")),
        (BASELINE, "ids"): with_ids(plain, b"RGB"),
        (BASELINE, "Adobe 0"): with_adobe(plain, 0),
        (BASELINE, "Adobe 1"): with_adobe(plain, 1),
    }
    forms = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
    for ((syntax, mark), stream), photometric, planar in itertools.product(streams.items(), forms, (0, 1)):
        if photometric in ("YBR_RCT", "YBR_ICT") and syntax != JPEG_2000:
            continue
        tags = {"PhotometricInterpretation": photometric, "PlanarConfiguration": planar}
        family = "YBR" if photometric in ("YBR_FULL", "YBR_FULL_422") else "RGB"
        name = f"{syntax} {mark} against {family} as {photometric} planar {planar}"
        yield Case(name, compressed(COLOUR, [stream], syntax, **tags))


def high_bits() -> Iterator[Case]:
    """Samples at the bottom of their words, and a HighBit that says they are at the top."""
    for syntax, stored, signed in itertools.product(NATIVE, (8, 10, 12), (False, True)):
        for extended in (False, True):
            samples = signed_or_not(stored, signed=signed)
            words = two_complement(samples, 16 if extended else stored)
            tags = {"BitsStored": stored, "HighBit": 15, "PixelRepresentation": int(signed)}
            name = f"native {syntax.name} {stored} bits, HighBit 15 signed {signed} extended {extended}"
            yield Case(name, dicom_of(words, syntax, **tags))


def palettes() -> Iterator[Case]:
    """Tables of every descriptor that a palette can have: depth of an entry, first value, length, sign."""
    for bits, first, count, signed in itertools.product((8, 16), (0, 10, -5), (256, 40, 0), (False, True)):
        if (first < 0) != signed:
            continue
        samples = (RAMP + first).astype(np.int16 if signed else np.uint16)
        entries = RNG.integers(0, 1 << bits, (3, count or 1 << 16)).astype(np.uint16)
        tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
        for colour, table in zip(("Red", "Green", "Blue"), entries, strict=True):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [count, first, bits]
            tags[f"{colour}PaletteColorLookupTableData"] = table.astype(f"<u{bits // 8}").tobytes()
        dataset = dataset_of(samples, **tags)
        for colour in ("Red", "Green", "Blue"):
            dataset[f"{colour}PaletteColorLookupTableDescriptor"].VR = "SS" if signed else "US"
        yield Case(f"palette {bits} bits first {first} count {count}", with_pixels(dataset, samples.tobytes(), vr="OW"))


def many_frames() -> Iterator[Case]:
    frames = np.stack([np.roll(RAMP, 5 * number, axis=1) for number in range(3)]).astype(np.uint16)
    for syntax in NATIVE:
        yield Case(f"native {syntax.name} frames", dicom_of(frames, syntax))
        yield Case(f"native {syntax.name} frames of bytes", dicom_of(frames.astype(np.uint8)[:, :33, :37], syntax))
    for syntax, encode in ENCODERS.items():
        streams = [encode(np.ascontiguousarray(frame), 16) for frame in frames]
        yield Case(f"{syntax} frames", compressed(frames, streams, syntax))


def rescaled() -> Iterator[Case]:
    for slope, intercept, signed in itertools.product((1, 2, "0.5", "-1", "1.37"), (0, -1024, "0.25"), (False, True)):
        samples = signed_or_not(12, signed=signed).astype("i2" if signed else "u2")
        tags = {"RescaleSlope": slope, "RescaleIntercept": intercept, "BitsStored": 12, "HighBit": 11}
        yield Case(f"rescale {slope} {intercept} signed {signed}", dicom_of(samples, **tags))


def by_pydicom(file: bytes, plugin: str = "") -> np.ndarray[Any, Any]:
    dataset = pydicom.dcmread(io.BytesIO(file))
    chosen = {"decoding_plugin": "pylibjpeg"} if dataset.file_meta.TransferSyntaxUID in (*ENCODERS, BASELINE) else {}
    values = pixel_array(dataset, **chosen)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        coloured = pydicom.pixels.apply_color_lut(values, dataset)
        return np.asarray(coloured >> (8 * coloured.itemsize - 8), np.float64)
    return np.asarray(pydicom.pixels.apply_modality_lut(values, dataset), np.float64)


def by_simpleitk(file: bytes, folder: Path) -> np.ndarray[Any, Any]:
    path = folder / "object.dcm"
    path.write_bytes(file)
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), np.float64)


def ours(file: bytes) -> np.ndarray[Any, Any] | str:
    """All frames, or the code of the refusal."""
    try:
        frames, planes = read_facts(file).frames, open_planes(file, max_pixels=10**6)
        return np.stack([planes.plane(index).values for index in range(frames)]).astype(np.float64)
    except ItemError as error:
        return error.code


def both(file: bytes, folder: Path) -> np.ndarray[Any, Any] | None:
    """What both others see, None where one of them fails or they differ by more than the rounding of a colour."""
    try:
        one, other = by_pydicom(file), by_simpleitk(file, folder)
    except Exception:  # whatever they raise, they do not agree
        return None
    if one.size != other.size:
        return None
    return one if np.abs(one - other.reshape(one.shape)).max() <= _tolerance(file) else None


def _tolerance(file: bytes) -> float:
    return 3.0 if b"\xff\xd8\xff" in file or b"YBR" in file else 1e-4


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The other readers warn of what the cases are made for."""
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


FAMILIES = [native, high_bits, depths, bytes_and_words, run_length, colours, many_frames, rescaled]
#: How many cases of each at least are judged by two readers that agree.
AGREED = {
    "native": 50,
    "high_bits": 24,
    "depths": 60,
    "bytes_and_words": 4,
    "run_length": 5,
    "colours": 50,
    "many_frames": 8,
    "rescaled": 20,
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_where_two_readers_agree_ours_is_equal_or_refuses_by_name(family, tmp_path):
    wrong, agreed = [], 0
    for case in family():
        expected = both(case.file, tmp_path)
        found = ours(case.file)
        if expected is None:
            continue
        agreed += 1
        if isinstance(found, str):
            if REFUSED.get(next((words for words in REFUSED if words in case.name), "")) != found:
                wrong.append(f"{case.name}: {found}")
        elif np.abs(found.reshape(expected.shape) - expected).max() > _tolerance(case.file):
            wrong.append(f"{case.name}: {found.ravel()[:4]} and not {expected.ravel()[:4]}")
    assert wrong == []
    assert agreed >= AGREED[family.__name__]


def test_palettes_of_every_descriptor_are_what_pydicom_makes_of_them():
    for case in palettes():
        assert np.array_equal(ours(case.file)[0], by_pydicom(case.file)), case.name
