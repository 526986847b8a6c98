import gzip
import io
import itertools
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from maskrelay.contract.records.source_frames import Grid, Orientation
from maskrelay.imaging.item_files.nifti_labels import write_labels_nifti, write_mask_nifti
from maskrelay.imaging.read import nifti_slices as sources

TURNS = [
    Orientation(transpose=t, flip_rows=r, flip_columns=c) for t, r, c in itertools.product((False, True), repeat=3)
]
SHAPE = (5, 7, 4)
UNTURNED = Orientation()
LPS = np.diag([-1.0, -1.0, 1.0])


def oblique(seed: int = 3, sides: tuple[float, float, float] = (0.7, 1.3, 4.0)) -> np.ndarray:
    """A rotation by odd angles, unequal sides, a far origin; 4 × 4."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array(sides)
    affine[:3, 3] = (-113.25, 48.5, 702.125)
    return affine


def grid_of(affine: np.ndarray, shape=SHAPE, axis: int = 2, turn: Orientation = UNTURNED, places=None) -> Grid:
    rows = tuple(tuple(float(number) for number in row) for row in affine[:3])
    return Grid(
        shape=shape, affine=rows, axis=axis, turn=turn, places=tuple(range(shape[axis])) if places is None else places
    )


def picture_of(volume: np.ndarray, grid: Grid, frame: int) -> np.ndarray:
    """How a frame is shown: the stored slice, transposed, then flipped."""
    picture = np.take(volume, grid.places[frame], axis=grid.axis)
    picture = picture.T if grid.turn.transpose else picture
    picture = np.flipud(picture) if grid.turn.flip_rows else picture
    return np.fliplr(picture) if grid.turn.flip_columns else picture


def random_labels(shape=SHAPE, most: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, most + 1, shape).astype(np.uint16)


def written(path: Path, grid: Grid, volume: np.ndarray, prompts: int = 3) -> Path:
    with path.open("wb") as out:
        write_labels_nifti(out, grid, lambda frame: picture_of(volume, grid, frame), prompts)
    return path


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turn", TURNS)
def test_two_readers_find_every_voxel_where_the_grid_has_it(axis, turn, tmp_path):
    volume, affine = random_labels(), oblique()
    path = written(tmp_path / "labels.nii.gz", grid_of(affine, axis=axis, turn=turn), volume)

    image = nib.load(path)
    assert np.array_equal(np.asarray(image.dataobj), volume)
    assert np.allclose(image.affine, affine, atol=1e-4)

    other = SimpleITK.ReadImage(path)
    assert np.array_equal(SimpleITK.GetArrayFromImage(other), volume.transpose(2, 1, 0))
    for index in ((0, 0, 0), (4, 6, 3), (2, 1, 3)):
        expected = LPS @ (affine @ (*index, 1))[:3]
        assert np.allclose(other.TransformIndexToPhysicalPoint(index), expected, atol=1e-3)


def test_the_names_of_the_labels_are_in_an_extension_that_leaves_the_voxels_where_they_are(tmp_path):
    volume, affine = random_labels(), oblique()
    names = ["Läsion in liver CT", "spleen", "aorta"]
    path = tmp_path / "labels.nii.gz"
    with path.open("wb") as out:
        grid = grid_of(affine)
        write_labels_nifti(out, grid, lambda frame: picture_of(volume, grid, frame), 3, names)
    image = nib.load(path)
    (extension,) = image.header.extensions
    assert extension.get_code() == 6
    assert json.loads(extension.get_content().rstrip(b"\0")) == {"labels": {"1": names[0], "2": "spleen", "3": "aorta"}}
    assert np.array_equal(np.asarray(image.dataobj), volume)
    other = SimpleITK.ReadImage(path)
    assert np.array_equal(SimpleITK.GetArrayFromImage(other), volume.transpose(2, 1, 0))
    assert np.allclose(other.TransformIndexToPhysicalPoint((4, 6, 3)), (LPS @ (affine @ (4, 6, 3, 1))[:3]), atol=1e-3)


def test_the_header_says_labels_millimetres_and_a_scanners_space_twice(tmp_path):
    affine = oblique()
    image = nib.load(written(tmp_path / "labels.nii.gz", grid_of(affine), random_labels()))
    assert int(image.header["intent_code"]) == 1002
    assert image.header.get_xyzt_units() == ("mm", "unknown")
    assert image.header.get_data_dtype() == np.uint8
    for form, code in (image.header.get_sform(coded=True), image.header.get_qform(coded=True)):
        assert code == 1
        assert np.allclose(form, affine, atol=1e-4)


def test_a_left_handed_grid_is_kept(tmp_path):
    affine = oblique() @ np.diag([1, 1, -1, 1])
    path = written(tmp_path / "labels.nii.gz", grid_of(affine), random_labels())
    assert np.allclose(nib.load(path).header.get_qform(), affine, atol=1e-4)
    assert np.allclose(
        SimpleITK.ReadImage(path).TransformIndexToPhysicalPoint((1, 2, 3)), LPS @ (affine @ (1, 2, 3, 1))[:3], atol=1e-3
    )


def test_a_sheared_grid_keeps_its_affine_and_declares_no_quaternion(tmp_path):
    affine = oblique()
    affine[:3, 2] += 0.4 * affine[:3, 1]
    image = nib.load(written(tmp_path / "labels.nii.gz", grid_of(affine), random_labels()))
    assert np.allclose(image.affine, affine, atol=1e-4)
    assert image.header.get_qform(coded=True)[1] == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_places_without_a_frame_are_empty_whatever_the_order_of_frames(axis, tmp_path):
    volume = random_labels((6, 6, 6)) + 1
    grid = grid_of(oblique(), (6, 6, 6), axis, places=(4, 1, 3))
    read = np.moveaxis(np.asarray(nib.load(written(tmp_path / "labels.nii.gz", grid, volume, 4)).dataobj), axis, 0)
    expected = np.moveaxis(volume, axis, 0)
    for place in range(6):
        assert np.array_equal(read[place], expected[place] if place in (4, 1, 3) else np.zeros((6, 6)))


@pytest.mark.parametrize(("prompts", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_labels_take_two_bytes_only_where_one_is_too_few(prompts, dtype, tmp_path):
    volume = random_labels(most=prompts)
    image = nib.load(written(tmp_path / "labels.nii.gz", grid_of(oblique()), volume, prompts))
    assert image.header.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(image.dataobj), volume)


@pytest.mark.parametrize("axis", [0, 1])
def test_planes_gathered_in_many_runs_are_those_gathered_in_one(axis, tmp_path, monkeypatch):
    volume = random_labels()
    grid = grid_of(oblique(), axis=axis)
    one = written(tmp_path / "one.nii.gz", grid, volume).read_bytes()
    monkeypatch.setattr("maskrelay.imaging.item_files.nifti_labels._HELD", 1)
    assert written(tmp_path / "many.nii.gz", grid, volume).read_bytes() == one


def test_one_prompts_volume_holds_its_mask_alone(tmp_path):
    masks = np.random.default_rng(0).random((2, *SHAPE)) < 0.4
    grid = grid_of(oblique())
    out = io.BytesIO()
    write_mask_nifti(out, grid, lambda frame, prompt: picture_of(masks[prompt], grid, frame), 1)
    (tmp_path / "mask.nii.gz").write_bytes(out.getvalue())
    assert np.array_equal(np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj), masks[1])


def test_the_same_labels_give_the_same_bytes_without_a_time_or_a_name(tmp_path):
    files = [written(tmp_path / name, grid_of(oblique()), random_labels()).read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]
    assert files[0][3:8] == bytes(5)  # no name, no time
    assert len(gzip.decompress(files[0])) == 352 + np.prod(SHAPE)


def test_a_frame_that_does_not_fit_the_grid_is_an_error_and_no_wrong_volume():
    with pytest.raises(ValueError, match="shape"):
        write_labels_nifti(io.BytesIO(), grid_of(oblique()), lambda _: np.zeros((7, 5), np.uint8), 1)


def _source(sform: int, qform: int) -> nib.Nifti1Image:
    """Both affines declared with these codes, and not the same."""
    affine = np.diag([0.7, 1.1, 2.3, 1.0])
    turned = affine.copy()
    turned[:2, :2] = [[0.8 * 0.7, -0.6 * 1.1], [0.6 * 0.7, 0.8 * 1.1]]
    turned[:3, 3] = (5, -3, 1)
    image = nib.Nifti1Image(np.zeros((5, 4, 3), np.uint8), None)
    image.set_sform(affine, sform)
    image.set_qform(turned, qform)
    return image


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (4, 1), (2, 0), (0, 3), (0, 0)])
@pytest.mark.parametrize("axis", [0, 2])
def test_the_labels_of_a_nifti_declare_what_it_declares(axis, sform, qform, tmp_path):
    source = _source(sform, qform)
    nib.save(source, tmp_path / "source.nii")
    grid = sources.grid_of(sources.open_nifti(tmp_path / "source.nii"), axis)
    sides = [side for other, side in enumerate((5, 4, 3)) if other != axis]
    shape = (sides[1], sides[0]) if grid.turn.transpose else tuple(sides)
    with (tmp_path / "labels.nii.gz").open("wb") as out:
        write_labels_nifti(out, grid, lambda _: np.ones(shape, np.uint8), 1)
    labels = nib.load(tmp_path / "labels.nii.gz")
    assert np.allclose(labels.affine, source.affine, atol=1e-4)
    for form in ("get_sform", "get_qform"):
        expected, code = getattr(source, form)(coded=True)
        found, found_code = getattr(labels, form)(coded=True)
        assert found_code == code
        assert code == 0 or np.allclose(found, expected, atol=1e-4)
    by_itk = [SimpleITK.ReadImage(tmp_path / name) for name in ("source.nii", "labels.nii.gz")]
    for of in ("GetOrigin", "GetDirection", "GetSpacing"):
        assert np.allclose(getattr(by_itk[0], of)(), getattr(by_itk[1], of)(), atol=1e-4)
