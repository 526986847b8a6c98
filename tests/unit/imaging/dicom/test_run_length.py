"""RLE frames: as many bytes as the header asks for, or a refusal."""

import struct
import tracemalloc

import numpy as np
import pytest

from maskrelay.errors import TagInvalid, Truncated
from maskrelay.imaging.dicom import open_planes
from tests.support.builders.codestreams import RLE
from tests.support.builders.dicoms import compressed

ROWS, COLUMNS = 8, 10


def frame_of(*segments: bytes, count: int | None = None) -> bytes:
    starts, place = [], 64
    for segment in segments:
        starts.append(place)
        place += len(segment)
    header = struct.pack("<16L", count or len(segments), *starts, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def run(value: int, length: int) -> bytes:
    lengths = [min(128, length - done) for done in range(0, length, 128)]
    return b"".join(bytes([(257 - one) % 256, value]) for one in lengths)  # a single one: a literal run, 0


def values_of(frame: bytes, kind: type = np.uint8, **tags: object) -> np.ndarray:
    pixels = np.zeros((ROWS, COLUMNS), kind)
    return open_planes(compressed(pixels, [frame], RLE, **tags), max_pixels=10**6).plane(0).values


WHOLE = run(7, ROWS * COLUMNS)


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 64, b"\xff" * 64, b"\x80" * 3])
def test_padding_behind_a_segment_is_not_decoded(padding):
    assert (values_of(frame_of(WHOLE + padding)) == 7).all()


def test_the_plane_of_an_odd_number_of_samples_may_have_been_padded_before():
    pixels = np.zeros((3, 5), np.uint8)
    found = open_planes(compressed(pixels, [frame_of(run(9, 16))], RLE), max_pixels=10**6).plane(0).values
    assert (found == 9).all()


@pytest.mark.parametrize("more", [run(1, 2), run(1, 80), b"\4abcde", run(1, 1) * 40])
def test_a_segment_of_more_samples_than_the_header_says_is_refused(more):
    with pytest.raises(TagInvalid, match="Rows"):
        values_of(frame_of(WHOLE + more))


@pytest.mark.parametrize("segment", [run(7, 79), b"", b"\x7fab"])
def test_a_segment_of_fewer_samples_is_truncated(segment):
    with pytest.raises(Truncated):
        values_of(frame_of(segment))


def test_another_number_of_segments_than_the_header_asks_for_is_refused():
    with pytest.raises(TagInvalid, match="BitsAllocated"):
        values_of(frame_of(WHOLE), np.uint16)
    with pytest.raises(TagInvalid, match="BitsAllocated"):
        values_of(frame_of(WHOLE, WHOLE, WHOLE))


@pytest.mark.parametrize("starts", [(64, 64), (80, 64), (64, 10**6), (10, 70)])
def test_segments_that_are_not_one_after_the_other_are_refused(starts):
    frame = struct.pack("<16L", 2, *starts, *[0] * 13) + WHOLE + WHOLE
    with pytest.raises((Truncated, TagInvalid)):
        values_of(frame, np.uint16)


def test_a_segment_that_would_swell_takes_no_more_memory_than_the_frame():
    hostile = frame_of(b"\x81\7" * 4_000_000)  # 8 MB that stand for half a gigabyte
    file = compressed(np.zeros((ROWS, COLUMNS), np.uint8), [hostile], RLE)
    tracemalloc.start()
    try:
        with pytest.raises(TagInvalid, match="Rows"):
            open_planes(file, max_pixels=10**6).plane(0)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(file)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("signed", [0, 1])
def test_words_with_unused_bits_are_read_as_uncompressed_ones_are(signed):
    high, low = run(0xFF, 80), run(0xF0, 80)
    tags = {"BitsStored": 12, "HighBit": 15, "PixelRepresentation": signed}
    assert (values_of(frame_of(high, low), np.uint16, **tags) == (-1 if signed else 0xFFF)).all()
