"""Pictures of volumes in every orientation, against SimpleITK and against the patient's own coordinates."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  its own documentation's name

from maskrelay.imaging.orientation import slice_axis, turn_of
from maskrelay.imaging.read.nifti_slices import open_nifti, read_slice
from tests.support.builders.volumes import affine_of, rotation, written

SHAPE = (5, 6, 7)
CODES = [
    "".join(letters) for axes in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*axes)
]
OBLIQUE = rotation(17, -24, 12)

#: How a picture is cut from a volume in LPS order, [z, y, x]: x to the left, y to the back, z to the head.
FROM_LPS = {
    "axial": lambda volume, place: volume[place],
    "coronal": lambda volume, place: volume[::-1, place],
    "sagittal": lambda volume, place: volume[::-1, :, place],
}


def pictures(path, asked):
    facts = open_nifti(path)
    axis = slice_axis(facts.affine, facts.shape, asked)
    turn = turn_of(facts.affine, axis)
    return [
        read_slice(path, facts, axis, place, None, turn, max_pixels=100).values for place in range(facts.shape[axis])
    ]


@pytest.mark.parametrize("asked", FROM_LPS)
@pytest.mark.parametrize("turn", [None, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("codes", CODES)
def test_every_orientation_gives_the_pictures_that_simpleitk_reorients_to(codes, turn, asked, tmp_path):
    path = written(tmp_path, np.arange(210, dtype=np.int16).reshape(SHAPE), affine_of(codes, turn=turn))
    lps = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"))
    side = lps.shape[("axial", "coronal", "sagittal").index(asked)]
    expected = [FROM_LPS[asked](lps, place) for place in range(side)]
    found = pictures(path, asked)
    if not np.array_equal(found[0], expected[0]):  # stored from the other end
        found.reverse()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PSR"])
@pytest.mark.parametrize(
    ("asked", "down", "across"),
    [("axial", (0, -1, 0), (-1, 0, 0)), ("coronal", (0, 0, -1), (-1, 0, 0)), ("sagittal", (0, 0, -1), (0, -1, 0))],
)
def test_a_step_down_and_a_step_across_go_where_radiologists_expect(codes, asked, down, across, tmp_path):
    affine = affine_of(codes, turn=rotation(9, 14, -20))
    indices = np.stack(np.meshgrid(*(np.arange(side) for side in SHAPE), indexing="ij"), axis=-1)
    world = indices @ affine[:3, :3].T + affine[:3, 3]
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine)
    facts = open_nifti(path)
    axis = slice_axis(facts.affine, facts.shape, asked)
    places = [pictures(written(tmp_path, world[..., part], affine), asked)[facts.shape[axis] // 2] for part in range(3)]
    picture = np.stack(places, axis=-1)
    for step, expected in ((picture[1, 0] - picture[0, 0], down), (picture[0, 1] - picture[0, 0], across)):
        cosines = step / np.linalg.norm(step)
        assert np.argmax(cosines @ np.vstack((np.eye(3), -np.eye(3))).T) == list(
            map(tuple, np.vstack((np.eye(3), -np.eye(3))).astype(int))
        ).index(expected)


def test_nothing_asked_is_axial_but_one_slice_is_itself():
    affine = tuple(map(tuple, affine_of("PSR")[:3]))
    assert slice_axis(affine, (9, 9, 9), None) == slice_axis(affine, (9, 9, 9), "axial") == 1
    assert slice_axis(affine, (9, 9, 1), None) == 2
    assert slice_axis(affine, (9, 9, 1), "axial") == 1
    assert slice_axis(affine, (9, 1, 1), None) == 1
    assert [slice_axis(affine, (9, 9, 9), asked) for asked in (0, 1, 2)] == [0, 1, 2]
    assert [slice_axis(affine, (9, 9, 9), asked) for asked in ("sagittal", "coronal")] == [2, 0]
