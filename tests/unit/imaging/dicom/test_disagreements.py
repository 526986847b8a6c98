"""What the header and the pixels say differently is found without decoding, and stands in the facts."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from maskrelay.errors import TagInvalid
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
    with_adobe,
    with_ids,
)
from tests.support.builders.dicoms import compressed, dicom_of, saved

GRAY = np.add.outer(np.arange(40), np.arange(48)).astype(np.uint16)
RGB = np.dstack([GRAY, GRAY[::-1], GRAY[:, ::-1]]).astype(np.uint8)


def findings(file: bytes) -> dict[str, object]:
    return dict(read_facts(file).findings)


@pytest.mark.parametrize(("syntax", "encode"), [(JPEG_2000, jpeg_2000), (JPEG_LS, jpeg_ls_of), (LOSSLESS, lossless)])
def test_a_precision_that_is_not_bits_stored_is_found(syntax, encode):
    stream = encode(GRAY, 16)
    assert findings(compressed(GRAY, [stream], syntax, BitsStored=12, HighBit=11)) == {"codestream_depth": (12, 16)}
    assert findings(compressed(GRAY, [stream], syntax)) == {}


def test_a_sign_that_is_not_the_headers_is_found():
    assert findings(compressed(GRAY, [jpeg_2000(GRAY.astype(np.int16), 16)], JPEG_2000)) == {"codestream_sign": (0, 1)}


def test_colours_that_are_not_the_headers_are_found():
    assert findings(compressed(RGB, [jpeg(RGB)], BASELINE)) == {"codestream_colours": ("RGB", "YBR_FULL")}
    ids = with_ids(jpeg(RGB, rgb=True), b"RGB")
    tags = {"PhotometricInterpretation": "YBR_FULL_422"}
    assert findings(compressed(RGB, [ids], BASELINE, **tags)) == {"codestream_colours": ("YBR_FULL_422", "RGB")}
    tags = {"PhotometricInterpretation": "YBR_RCT"}
    assert findings(compressed(RGB, [jpeg_2000(RGB, 8)], JPEG_2000, **tags)) == {
        "codestream_colours": ("YBR_RCT", "RGB")
    }


def test_colours_that_contradict_each_other_are_refused_when_the_object_is_surveyed():
    file = compressed(RGB, [with_adobe(jpeg(RGB, rgb=True), 0)], BASELINE, PhotometricInterpretation="YBR_FULL")
    with pytest.raises(TagInvalid, match="PhotometricInterpretation"):
        read_facts(file)


def test_a_disagreement_of_a_later_frame_is_found_too():
    frames = np.stack([GRAY, GRAY])
    streams = [jpeg_2000(GRAY, 16), jpeg_2000(GRAY, 12)]
    assert findings(compressed(frames, streams, JPEG_2000)) == {"codestream_depth": (16, 12)}


def test_a_codestream_deeper_than_bytes_is_no_picture_of_bytes():
    file = compressed(GRAY.astype(np.uint8), [jpeg_2000(GRAY, 12)], JPEG_2000)
    assert read_facts(file).bits == 12


def test_bytes_that_are_rescaled_are_no_picture_of_bytes():
    gray = GRAY.astype(np.uint8)
    assert read_facts(dicom_of(gray)).bits == 8
    file = dicom_of(gray, RescaleSlope=8, RescaleIntercept=-1024)
    assert read_facts(file).bits == open_planes(file, max_pixels=10**6).plane(0).bits == 16


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_lossless_object_that_agrees_has_no_findings(syntax):
    dataset = pydicom.dcmread(io.BytesIO(dicom_of(GRAY)))
    dataset.compress(syntax, generate_instance_uid=False)
    assert findings(saved(dataset, syntax)) == {}


def test_more_bytes_than_the_frames_need_are_found():
    assert findings(dicom_of(GRAY, Rows=39)) == {"excess_pixel_data": (96,)}
    assert findings(dicom_of(GRAY[:, :47].astype(np.uint8)[:39])) == {}  # an odd number of bytes and its padding


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
    ],
)
def test_a_presentation_lut_turns_the_gray_over_once(photometric, shape, inverted):
    file = dicom_of(GRAY, PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    assert open_planes(file, max_pixels=10**6).plane(0).inverted is inverted
    contradicts = (photometric, shape) == ("MONOCHROME2", "INVERSE")
    assert findings(file) == ({"presentation_lut_inverse": ("MONOCHROME2",)} if contradicts else {})


def test_a_colour_profile_is_noted():
    assert findings(dicom_of(RGB, ICCProfile=b"profile ")) == {"icc_profile_not_applied": (1,)}
    assert findings(dicom_of(GRAY, ICCProfile=b"profile ")) == {}


def test_a_high_bit_that_is_not_below_bits_stored_is_found():
    assert findings(dicom_of(GRAY, BitsStored=12, HighBit=15)) == {"high_bit": (12, 15)}
