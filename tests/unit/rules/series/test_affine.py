import math

import numpy as np
import pytest
import SimpleITK

from maskrelay.rules.series.affine import affine_of_series

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def turned(seed: int) -> tuple[float, ...]:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return tuple(float(number) for number in (*rotation[:, 0], *rotation[:, 1]))


def along_normal(orientation, origin, steps) -> list[tuple[float, float, float]]:
    normal = np.cross(orientation[:3], orientation[3:])
    return [tuple(float(part) for part in np.array(origin) + normal * step) for step in steps]


def point(affine, index) -> np.ndarray:
    return np.array(affine) @ (*index, 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("step", [2.5, -2.5])
def test_a_voxel_lies_where_an_independent_library_puts_it(seed, step):
    orientation, spacing = turned(seed), (0.7, 1.4)
    positions = along_normal(orientation, (-100, 40, 7), [step * k for k in range(5)])
    placed = affine_of_series(orientation, positions, spacing)
    volume = SimpleITK.Image(9, 8, 5, SimpleITK.sitkUInt8)
    volume.SetOrigin(positions[0])
    volume.SetSpacing((spacing[1], spacing[0], abs(step)))  # i runs from column to column
    normal = np.cross(orientation[:3], orientation[3:]) * np.sign(step)
    volume.SetDirection(np.column_stack((orientation[:3], orientation[3:], normal)).ravel().tolist())
    for index in ((0, 0, 0), (8, 7, 4), (3, 1, 2)):
        x, y, z = volume.TransformIndexToPhysicalPoint(index)
        assert np.allclose(point(placed.affine, index), (-x, -y, z), atol=1e-6)
    assert placed.places == (0, 1, 2, 3, 4)
    assert placed.off_mm < 1e-9


def test_a_gap_skips_places_and_the_step_stays_the_usual_one():
    placed = affine_of_series(AXIAL, along_normal(AXIAL, (0, 0, 0), [0, 3, 6, 15, 18.1, 21]), (1, 1))
    assert placed.places == (0, 1, 2, 5, 6, 7)
    assert placed.affine[2][2] == 3
    assert placed.off_mm == pytest.approx(0.1)


def test_slices_that_no_regular_grid_holds_are_said_to_be_off():
    placed = affine_of_series(AXIAL, along_normal(AXIAL, (0, 0, 0), [0, 5, 10, 17.5, 22.5]), (1, 1))
    assert placed.off_mm >= 1


def test_a_tilted_gantry_gives_a_sheared_grid():
    positions = [(0.0, 0.8 * k, 3.0 * k) for k in range(4)]
    placed = affine_of_series(AXIAL, positions, (1, 1))
    assert np.allclose(point(placed.affine, (0, 0, 3)), (0, -2.4, 9))
    assert placed.off_mm < 1e-9


@pytest.mark.parametrize(("thickness", "depth"), [(4.5, 4.5), (None, 1.0)])
def test_a_slice_alone_is_as_deep_as_it_is_thick(thickness, depth):
    placed = affine_of_series(AXIAL, [(1.0, 2.0, 3.0)], (1, 1), thickness)
    assert placed.places == (0,)
    assert math.isclose(placed.affine[2][2], depth)
    assert [row[3] for row in placed.affine] == [-1, -2, 3]


def test_slices_in_one_plane_make_no_grid():
    with pytest.raises(ValueError, match="plane"):
        affine_of_series(AXIAL, [(0.0, 0.0, 5.0)] * 3, (1, 1))
