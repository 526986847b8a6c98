"""Which fragments make up which frame: by the codestreams in them, whatever an offset table says."""

import struct

import numpy as np
import pytest
from pydicom.encaps import encapsulate_extended

from maskrelay.errors import ItemError, TagInvalid, Truncated
from maskrelay.imaging.dicom import open_planes, read_facts
from tests.support.builders.codestreams import (
    BASELINE,
    JPEG_2000,
    JPEG_LS,
    RLE,
    jpeg,
    jpeg_2000,
    jpeg_ls_of,
)
from tests.support.builders.dicoms import dataset_of, saved

LIMIT = 1_000_000
FRAMES = np.stack([np.full((40, 48), 40 * number + 20, np.uint8) for number in range(5)])
ENCODERS = {BASELINE: jpeg, JPEG_2000: lambda frame: jpeg_2000(frame, 8), JPEG_LS: lambda frame: jpeg_ls_of(frame, 8)}
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def rle(frame: np.ndarray) -> bytes:
    """Each row as replicated runs of one value, which these frames have."""
    runs = b"".join(bytes([257 - 48, int(row[0])]) for row in frame)
    return struct.pack("<16L", 1, 64, *[0] * 14) + runs


def item(content: bytes) -> bytes:
    content += b"\0" * (len(content) % 2)
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(content)) + content


def object_of(
    syntax: str, fragments: list[bytes], table: list[int], *, frames: int = 5, end: bytes = DELIMITER
) -> bytes:
    dataset = dataset_of(FRAMES, NumberOfFrames=frames)
    content = item(struct.pack(f"<{len(table)}L", *table)) + b"".join(map(item, fragments))
    dataset.add_new("PixelData", "OB", content)
    dataset["PixelData"].is_undefined_length = True
    file = saved(dataset, syntax)
    return file.removesuffix(DELIMITER) + end


def offsets_of(fragments: list[bytes]) -> list[int]:
    found = [0]
    for fragment in fragments[:-1]:
        found.append(found[-1] + 8 + len(fragment) + len(fragment) % 2)
    return found


def seen(file: bytes, frames: int = 5) -> list[int | None]:
    """The gray of each frame, None where it is refused."""
    planes, found = open_planes(file, max_pixels=LIMIT), []
    for index in range(frames):
        try:
            found.append(round(float(np.median(planes.plane(index).values))))
        except ItemError:
            found.append(None)
    return found


GRAYS = [20, 60, 100, 140, 180]


@pytest.mark.parametrize("syntax", [*ENCODERS, RLE])
@pytest.mark.parametrize(
    "table", ["none", "true", "zeros", "exchanged", "shifted", "beyond", "short", "long", "falling"]
)
def test_as_many_fragments_as_frames_are_the_frames_whatever_the_table_says(syntax, table):
    fragments = [{**ENCODERS, RLE: rle}[syntax](frame) for frame in FRAMES]
    true = offsets_of(fragments)
    tables = {
        "none": [],
        "true": true,
        "zeros": [0] * 5,
        "exchanged": [true[0], true[3], true[2], true[1], true[4]],
        "shifted": [offset + 8 for offset in true],
        "beyond": [*true[:4], 10**6],
        "short": true[:3],
        "long": [*true, 10**5],
        "falling": true[::-1],
    }
    assert seen(object_of(syntax, fragments, tables[table])) == GRAYS


@pytest.mark.parametrize("syntax", ENCODERS)
@pytest.mark.parametrize("table", ["none", "true", "exchanged", "zeros"])
def test_frames_of_several_fragments_are_found_by_their_codestreams(syntax, table):
    streams = [ENCODERS[syntax](frame) for frame in FRAMES]
    pieces = [
        [stream[:100], stream[100:200], stream[200:]] if number % 2 else [stream]
        for number, stream in enumerate(streams)
    ]
    fragments = [piece for frame in pieces for piece in frame]
    starts = offsets_of(fragments)
    true = [starts[sum(map(len, pieces[:number]))] for number in range(5)]
    tables = {"none": [], "true": true, "exchanged": [true[1], true[0], *true[2:]], "zeros": [0] * 5}
    assert seen(object_of(syntax, fragments, tables[table])) == GRAYS


@pytest.mark.parametrize("wrong", [False, True])
def test_an_extended_table_is_no_more_trusted_than_a_basic_one(wrong):
    fragments = [jpeg(frame) for frame in FRAMES]
    content, offsets, lengths = encapsulate_extended(fragments)
    if wrong:
        offsets = offsets[8:16] + offsets[:8] + offsets[16:]
    dataset = dataset_of(FRAMES, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths)
    dataset.add_new("PixelData", "OB", content)
    dataset["PixelData"].is_undefined_length = True
    assert seen(saved(dataset, BASELINE)) == GRAYS


def test_one_frame_in_many_fragments_is_one_frame():
    stream = jpeg(FRAMES[2])
    fragments = [stream[place : place + 50] for place in range(0, len(stream), 50)]
    assert seen(object_of(BASELINE, fragments, [], frames=1), 1) == [100]


def test_empty_fragments_are_no_frames():
    fragments = [piece for frame in FRAMES for piece in (jpeg(frame), b"")]
    assert seen(object_of(BASELINE, fragments, [])) == GRAYS


@pytest.mark.parametrize("syntax", [*ENCODERS, RLE])
@pytest.mark.parametrize(("says", "error"), [(4, TagInvalid), (1, TagInvalid), (6, Truncated), (7, Truncated)])
def test_a_number_of_frames_that_does_not_fit_is_refused_with_both_numbers(syntax, says, error):
    file = object_of(syntax, [{**ENCODERS, RLE: rle}[syntax](frame) for frame in FRAMES], [], frames=says)
    for read in (read_facts, lambda source: open_planes(source, max_pixels=LIMIT)):
        with pytest.raises(error, match=rf"NumberOfFrames is {says}, but .* contains 5 frames"):
            read(file)


def test_as_many_fragments_as_frames_that_are_not_one_each_are_refused():
    streams = [jpeg(frame) for frame in FRAMES[:4]]
    fragments = [streams[0][:100], streams[0][100:], *streams[1:]]
    with pytest.raises(Truncated, match="contains 4 frames"):
        open_planes(object_of(BASELINE, fragments, []), max_pixels=LIMIT)


def test_a_frame_that_is_damaged_does_not_move_the_others_where_the_table_says_so_too():
    fragments = [jpeg(frame) for frame in FRAMES]
    fragments[2] = b"\0\0" + fragments[2][2:]
    assert seen(object_of(BASELINE, fragments, offsets_of(fragments))) == [20, 60, None, 140, 180]


def test_an_object_that_is_cut_has_the_frames_that_are_whole():
    fragments = [jpeg(frame) for frame in FRAMES]
    file = object_of(BASELINE, fragments, offsets_of(fragments), end=b"")
    assert seen(file[: -len(fragments[4]) // 2]) == [20, 60, 100, 140, None]


def test_something_else_between_the_fragments_is_refused():
    fragments = [jpeg(frame) for frame in FRAMES]
    file = object_of(BASELINE, fragments, [], end=b"\x10\0\x20\0abcdefgh" + DELIMITER)
    with pytest.raises(TagInvalid, match="PixelData"):
        open_planes(file, max_pixels=LIMIT)
