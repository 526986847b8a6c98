"""Shapes at known places in the patient come back at these places, whatever the volume's form: the whole service."""

import json
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from tests.support.builders.phantoms import (
    Distance,
    ball,
    nifti,
    oblique,
    series,
    union,
    voxels,
)
from tests.support.servers.stacks import RunningStack

#: Nothing is symmetric: a flip of any axis, or a slice too far, moves the small balls away.
SHAPES = union(ball((-4, 2, 10), 17), ball((22, -6, 2), 7), ball((-14, 24, -9), 6))
PROMPT = "phantom"
SHAPE, SPACING = (67, 52, 21), (0.9, 1.3, 2.4)
#: Half a source pixel to every side, in voxels.
HALF_A_PIXEL = [(0.5 * np.cos(a), 0.5 * np.sin(a)) for a in np.arange(16) * np.pi / 8]


@pytest.fixture(scope="module", params=["shuffled", "flipped"])
def saved(request: pytest.FixtureRequest, stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The files of a CT series that was sent in this order, by output."""
    raster = oblique(SHAPE, SPACING)
    order = np.arange(SHAPE[2])[::-1]
    if request.param == "shuffled":
        order = np.random.default_rng(5).permutation(SHAPE[2])
    files = series(raster, voxels(raster, SHAPES), order)
    return _segmented(stack, tmp_path_factory.mktemp("saved"), files, ["nifti", "seg"])


def _segmented(stack: RunningStack, folder: Path, files: list[bytes], outputs: list[Any]) -> dict[str, Path]:
    with stack.client() as client:
        job = client.submit(files, [PROMPT], outputs=outputs, options={"square_pixels": True})
        ended = client.wait(job.id)
        items = list(client.items(job.id))
        assert ended.state == "succeeded", json.dumps([item.model_dump(mode="json") for item in items])[:3000]
        assert ended.counts.total == 1
        return {one.output: one.path for one in client.save(job.id, folder)}


def misplaced(mask: Any, to_patient: Any, distance: Distance) -> int:
    """How many voxels differ though the surface is more than half a pixel away in their slice.

    mask: (i, j, k) with slices along k; to_patient: 4 × 4, voxel indices to millimetres, LPS+.
    """
    index = np.stack(np.meshgrid(*(np.arange(n) for n in mask.shape), indexing="ij"), axis=-1).astype(float)
    around = []
    for across, down in HALF_A_PIXEL:
        moved = index + np.array([across, down, 0])
        around.append(distance(moved @ to_patient[:3, :3].T + to_patient[:3, 3]) > 0)
    surely_in, surely_out = np.all(around, axis=0), ~np.any(around, axis=0)
    assert surely_in.sum() > 1000
    return int((surely_in & ~mask).sum() + (surely_out & mask).sum())


def _affine_of(image: SimpleITK.Image) -> Any:
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine


def test_the_labels_of_a_series_lie_where_the_shapes_are_by_simpleitk(saved: dict[str, Path]) -> None:
    image = SimpleITK.ReadImage(str(saved["nifti"]))
    mask = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0) == 1
    assert mask.shape == SHAPE
    assert misplaced(mask, _affine_of(image), SHAPES) == 0


def test_the_labels_of_a_series_lie_where_the_shapes_are_by_nibabel(saved: dict[str, Path]) -> None:
    image = nibabel.load(saved["nifti"])
    assert image.header["intent_code"] == 1002
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-3)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    assert misplaced(np.asarray(image.dataobj) == 1, to_lps, SHAPES) == 0


def test_the_seg_of_a_series_lies_where_the_shapes_are_by_highdicom(saved: dict[str, Path]) -> None:
    seg = highdicom.seg.segread(saved["seg"])
    volume = seg.get_volume(combine_segments=True)
    mask = np.asarray(volume.array).transpose(2, 1, 0) == 1  # slices, rows, columns
    swapped = volume.affine[:, [2, 1, 0, 3]]
    assert misplaced(mask, swapped, SHAPES) == 0


def test_the_seg_of_a_series_refers_to_every_object_it_was_made_of(saved: dict[str, Path]) -> None:
    seg = pydicom.dcmread(saved["seg"])
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == SHAPE[2]
    assert seg.SegmentSequence[0].SegmentLabel == PROMPT


@pytest.mark.parametrize("axis", ["axial", "coronal", 2])
def test_the_labels_of_a_volume_lie_where_the_shapes_are(stack: RunningStack, tmp_path: Path, axis: Any) -> None:
    """Cut along any axis; half a pixel is that of the slices that were cut."""
    raster = oblique((41, 37, 26), (1.7, 1.9, 2.1))
    values = voxels(raster, SHAPES)
    with stack.client() as client:
        job = client.submit(
            [nifti(raster, values)],
            [PROMPT],
            outputs=["nifti"],
            options={"slice_axis": axis, "square_pixels": True, "intensity": {"window": [-150, 250]}},
        )
        assert client.wait(job.id).state == "succeeded", list(client.items(job.id))
        [file] = client.save(job.id, tmp_path)
    image = SimpleITK.ReadImage(str(file.path))
    mask = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0) == 1
    affine = _affine_of(image)
    if axis == "coronal":  # the axis that lies closest to front and back goes last, as `misplaced` wants it
        cut = int(np.argmax(np.abs(affine[1, :3])))
        order = [n for n in range(3) if n != cut] + [cut]
        mask, affine = mask.transpose(order), affine[:, [*order, 3]]
    elif axis == "axial":
        cut = int(np.argmax(np.abs(affine[2, :3])))
        order = [n for n in range(3) if n != cut] + [cut]
        mask, affine = mask.transpose(order), affine[:, [*order, 3]]
    assert misplaced(mask, affine, SHAPES) == 0
