"""Frames by what the plan says of them: from a file of many, each its own, in whatever order."""

from pathlib import Path

import numpy as np

from maskrelay.contract.records.source_frames import Reading
from maskrelay.imaging.read.source import read_plane
from tests.support.builders.dicoms import dicom_of


def test_frames_of_two_objects_asked_for_in_turn_are_each_their_own(tmp_path: Path):
    objects = {}
    for number in range(3):
        frames = np.arange(4, dtype=np.uint16)[:, None, None] + np.full((4, 5, 6), 10 * number, np.uint16)
        path = tmp_path / str(number)
        path.write_bytes(dicom_of(frames))
        objects[path] = frames
    for index in (2, 0, 3, 1):
        for path, frames in objects.items():
            reading = Reading(kind="dicom", several=True, index=index)
            assert np.array_equal(read_plane(path, reading, max_pixels=1000).values, frames[index])
