"""What a writer holds does not grow with the number of frames."""

import copy
import tempfile
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset

from maskrelay.contract.records.source_frames import Grid
from maskrelay.contract.vocabulary.segment_codes import codes_of
from maskrelay.imaging.item_files.geojson import write_geojson
from maskrelay.imaging.item_files.nifti_labels import write_labels_nifti
from maskrelay.imaging.item_files.seg import write_seg
from maskrelay.imaging.item_files.seg_header import Segment
from tests.support.builders.segmentations import MAKING, headers

SIDE = 256
AFFINE = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
#: What is known of a slice: its position, its UIDs, its place in the list of references. A mask has 65,536 here.
BYTES_A_SLICE = 10_000


def mask_of(frame: int, prompt: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[20 + frame % 9 : 200, 30 + prompt : 220] = True
    return mask


def source(number: int) -> Dataset:
    header = copy.deepcopy(headers("ct")[0])
    header.SOPInstanceUID = f"1.2.3.{number}"
    header.ImagePositionPatient = ["0", "0", f"{number * 2.5}"]
    header.Rows = header.Columns = SIDE
    return header


def seg(out, frames: int) -> None:
    segments = [Segment(prompt, codes_of(prompt, None)) for prompt in ("liver", "spleen")]
    write_seg(out, [(place, 0) for place in range(frames)], source, segments, mask_of, MAKING)


def nifti(axis: int) -> Callable:
    def write(out, frames: int) -> None:
        shape = [SIDE, SIDE]
        shape.insert(axis, frames)
        grid = Grid(shape=tuple(shape), affine=AFFINE, axis=axis, places=tuple(range(frames)))
        write_labels_nifti(out, grid, lambda frame: mask_of(frame, 0).astype(np.uint8), 1)

    return write


def geojson(out, frames: int) -> None:
    write_geojson(out, ["liver", "spleen"], frames, mask_of)


def peak(write: Callable, frames: int) -> int:
    with tempfile.TemporaryFile() as out:
        tracemalloc.start()
        try:
            write(out, frames)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("write", [seg, nifti(0), nifti(1), nifti(2), geojson], ids=["seg", "i", "j", "k", "geojson"])
def test_ten_times_the_frames_take_no_more_memory_but_what_is_known_of_each(write, monkeypatch):
    monkeypatch.setattr("maskrelay.imaging.item_files.nifti_labels._HELD", 1 << 20)
    peak(write, 2)  # what is loaded once
    assert peak(write, 200) - peak(write, 20) < 180 * BYTES_A_SLICE
