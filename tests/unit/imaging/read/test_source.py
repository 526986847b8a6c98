"""Frames by what the plan says of them: from a file of many, each its own, in whatever order."""

from pathlib import Path

import numpy as np
import pytest

from maskrelay.contract.records.source_frames import Reading
from maskrelay.imaging.frame_pixels import prepare
from maskrelay.imaging.read.source import read_plane
from maskrelay.imaging.read.source_survey import survey_dicom
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


@pytest.mark.parametrize(
    ("tags", "stretched"),
    [
        ({"PixelAspectRatio": [2, 1]}, (30, 40)),
        ({"PixelAspectRatio": [2, 1], "PixelSpacing": [0.5, 1.5]}, (90, 20)),
        ({"PixelAspectRatio": [0, 1]}, (30, 20)),
        ({"PixelAspectRatio": [2, 1, 1]}, (30, 20)),
        ({}, (30, 20)),
    ],
)
def test_pixels_are_made_square_by_their_spacing_or_else_by_their_aspect_ratio(tags, stretched):
    file = dicom_of(np.zeros((20, 30), np.uint8), **tags)
    reading = survey_dicom(file, {"upload": 0, "kind": "dicom", "size": len(file)}, key=b"").reading
    box = prepare(file, ("liver",), max_pixels=1000, reading=reading, square_pixels=True).box
    assert (box.stretched_width, box.stretched_height) == stretched
