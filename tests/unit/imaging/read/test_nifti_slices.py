"""NIfTI slices; nibabel, which is not ours, writes the files and says what is in them."""

import struct

import nibabel
import numpy as np
import pytest

from maskrelay.errors import (
    FrameOutOfRange,
    ItemError,
    NotAnImage,
    TagInvalid,
    TooManyPixels,
    Truncated,
    UnsupportedImage,
    VolumeNeeded,
    ZeroSized,
)
from maskrelay.imaging.orientation import turn_of, unturned
from maskrelay.imaging.read.nifti_slices import (
    chosen_volume,
    grid_of,
    open_nifti,
    picture_spacing,
    read_slice,
)
from tests.support.builders.volumes import (
    BUNDLED,
    affine_of,
    patched,
    rotation,
    unpacked,
    written,
)

LIMIT = 1_000_000
SHAPE = (5, 4, 3)

#: Every NIfTI that comes with nibabel: shape, volumes and type of its values, or the code it ends with.
OUTCOMES = {
    "anatomical.nii": ((33, 41, 25), 1, "int16"),
    "example4d.nii.gz": ((128, 96, 24), 2, "int16"),
    "example_nifti2.nii.gz": ((32, 20, 12), 2, "int16"),
    "functional.nii": ((17, 21, 3), 20, "float64"),
    "nifti1.hdr": "unsupported_image",
    "nifti2.hdr": "unsupported_image",
    "reoriented_anat_moved.nii": ((21, 26, 22), 1, "float32"),
    "resampled_anat_moved.nii": ((17, 21, 3), 1, "float32"),
    "row_major.dconn.nii": "unsupported_image",
    "standard.nii.gz": ((4, 5, 7), 1, "uint8"),
}


def slices(path, facts, axis, volume=None):
    """All slices along an axis as they are stored, read one by one."""
    turn = turn_of(facts.affine, axis)
    places = grid_of(facts, axis).places
    planes = [read_slice(path, facts, axis, place, volume, turn, max_pixels=LIMIT) for place in places]
    assert {plane.values.dtype for plane in planes} == {facts.values}
    return np.stack([unturned(plane.values, turn) for plane in planes], axis)


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_bundled_image_gives_nibabels_values_slice_by_slice_or_a_code(name, tmp_path):
    path, expected = unpacked(BUNDLED / name, tmp_path), OUTCOMES[name]
    if isinstance(expected, str):
        with pytest.raises(ItemError) as refusal:
            open_nifti(path)
        assert refusal.value.code == expected
        return
    facts = open_nifti(path)
    assert (facts.shape, facts.volumes, facts.values.name) == expected
    image = nibabel.load(path)
    assert np.allclose(facts.affine, image.affine[:3])
    voxels = image.get_fdata().reshape(*facts.shape, facts.volumes)
    for axis in range(3):
        for volume in range(facts.volumes):
            assert np.array_equal(slices(path, facts, axis, volume), voxels[..., volume], equal_nan=True)


def test_the_table_names_every_nifti_that_is_bundled():
    found = {path.name for path in BUNDLED.iterdir() if ".nii" in path.name or path.name.startswith("nifti")}
    assert found == set(OUTCOMES)


def test_every_other_bundled_file_is_no_nifti():
    others = [path for path in BUNDLED.iterdir() if path.is_file() and path.name not in OUTCOMES]
    assert len(others) > 50
    for path in others:
        with pytest.raises(NotAnImage):
            open_nifti(path)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_type_of_number_is_read_in_both_byte_orders(name, order, kind, tmp_path):
    dtype = np.dtype(order + name)
    limits = np.iinfo(dtype) if dtype.kind in "ui" else np.finfo(dtype)
    voxels = np.linspace(float(limits.min) / 2, float(limits.max) / 2, 60).astype(dtype).reshape(SHAPE)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    path = tmp_path / "volume.nii"
    path.write_bytes(kind(voxels, affine_of("LPS"), header).to_bytes())
    facts = open_nifti(path)
    assert np.array_equal(slices(path, facts, 2), voxels)
    assert facts.values.isnative
    # signed bytes are no picture: they are widened
    assert (facts.values, facts.bits) == (
        (np.int16, 16) if name == "i1" else (dtype.newbyteorder("="), 8 * int(name[1]))
    )


@pytest.mark.parametrize(
    ("dtype", "slope", "shift", "expected"),
    [
        ("uint8", 1, -1024, "int16"),
        ("uint8", 257, 0, "uint16"),
        ("int16", 1, -1024, "int32"),
        ("int16", -2, 7, "int32"),
        ("int32", 3, 1, "int64"),
        ("uint64", 2, 0, "float64"),
        ("int16", 0.5, 0, "float64"),
        ("int16", 1, 0.25, "float64"),
        ("float32", 2, 1, "float64"),
        ("int16", 0, 99, "int16"),
        ("int16", np.nan, 99, "int16"),
    ],
)
def test_whole_scalings_stay_integers_and_others_are_doubles(dtype, slope, shift, expected, tmp_path):
    voxels = (np.arange(60) * 4).astype(dtype).reshape(SHAPE)
    path = written(tmp_path, voxels, affine_of("RAS"), scl_slope=slope, scl_inter=shift)
    facts = open_nifti(path)
    assert facts.values == expected
    assert np.array_equal(slices(path, facts, 1), nibabel.load(path).get_fdata())


def test_colours_stay_colours(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    voxels = rgb.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    path = written(tmp_path, voxels, affine_of("LPS"), scl_slope=3)
    facts = open_nifti(path)
    assert (facts.rgb, facts.bits) == (True, 8)
    plane = read_slice(path, facts, 2, 1, None, turn_of(facts.affine, 2), max_pixels=LIMIT)
    assert np.array_equal(plane.values, rgb[:, :, 1].swapaxes(0, 1))


def test_a_picture_of_two_dimensions_is_one_slice(tmp_path):
    voxels = np.arange(20, dtype=np.int16).reshape(5, 4)
    path = written(tmp_path, voxels, affine_of("LPS"), pixdim=(1, 0.7, 1.1, 0, 0, 0, 0, 0))
    facts = open_nifti(path)
    assert (facts.shape, facts.volumes, grid_of(facts, 2).places) == ((5, 4, 1), 1, (0,))
    assert np.array_equal(slices(path, facts, 2)[..., 0], voxels)


def test_only_the_slice_asked_for_is_read(tmp_path):
    voxels = np.zeros((64, 64, 300), np.int16)
    path = written(tmp_path, voxels, affine_of("LPS"))
    facts = open_nifti(path)
    with path.open("r+b") as file:
        file.seek(facts.start + 299 * 64 * 64 * 2)
        file.write(np.full(64 * 64, 7, np.int16).tobytes())
    plane = read_slice(path, facts, 2, 299, None, turn_of(facts.affine, 2), max_pixels=64 * 64)
    assert (plane.values == 7).all()
    assert plane.values.base is None  # nothing of the mapping is held


def test_a_file_of_several_volumes_wants_one_named(tmp_path):
    facts = open_nifti(written(tmp_path, np.zeros((*SHAPE, 6), np.uint8), affine_of("RAS")))
    for asked in (None, 6, -1):
        with pytest.raises(VolumeNeeded, match="6 volumes") as refusal:
            chosen_volume(facts, asked)
        assert refusal.value.detail.startswith("The file has 6 volumes. ")
    assert chosen_volume(facts, 5) == 5


def test_a_file_of_one_volume_needs_no_name_and_takes_no_other(tmp_path):
    facts = open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS")))
    assert chosen_volume(facts, None) == chosen_volume(facts, 0) == 0
    with pytest.raises(VolumeNeeded):
        chosen_volume(facts, 1)


def test_slices_and_pixels_beyond_are_refused(tmp_path):
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("LPS"))
    facts = open_nifti(path)
    turn = turn_of(facts.affine, 2)
    for index in (-1, 3):
        with pytest.raises(FrameOutOfRange, match="3 slices"):
            read_slice(path, facts, 2, index, None, turn, max_pixels=LIMIT)
    with pytest.raises(TooManyPixels) as refusal:
        read_slice(path, facts, 2, 0, None, turn, max_pixels=19)
    assert "5 × 4 = 20 pixels; at most 19 are" in refusal.value.detail


def test_the_grid_is_the_files_and_its_spacing_turns_with_the_picture(tmp_path):
    facts = open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("LPS")))
    grid = grid_of(facts, 0)
    assert (grid.shape, grid.axis, grid.places) == (SHAPE, 0, (0, 1, 2, 3, 4))
    assert np.allclose(grid.affine, affine_of("LPS")[:3])
    assert facts.spacing == pytest.approx((0.7, 1.1, 2.3))
    # down a sagittal picture runs z, across it y
    assert picture_spacing(facts, 0, grid.turn) == pytest.approx((2.3, 1.1))
    assert picture_spacing(facts, 2, grid_of(facts, 2).turn) == pytest.approx((1.1, 0.7))


@pytest.mark.parametrize("codes", ["RAS", "PLI", "SRA"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_spacings_of_a_sheared_slice_give_the_area_of_a_pixel(tmp_path, axis, codes):
    affine = affine_of(codes, turn=rotation(10, 20, 30))
    affine[:3, 1] += 0.4 * affine[:3, 0]
    affine[:3, 2] += 0.3 * affine[:3, 1]
    facts = open_nifti(written(tmp_path, np.zeros((4, 5, 6), np.int16), affine))
    sides = [affine[:3, other] for other in range(3) if other != axis]
    area = np.linalg.norm(np.cross(*sides))
    assert np.prod(picture_spacing(facts, axis, grid_of(facts, axis).turn)) == pytest.approx(area, rel=1e-5)


@pytest.mark.parametrize(("code", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_lengths_become_millimetres_whatever_their_unit(code, factor, tmp_path):
    facts = open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"), xyzt_units=code | 8))
    assert np.allclose(facts.affine, affine_of("RAS")[:3] * factor)
    assert facts.spacing == pytest.approx((0.7 * factor, 1.1 * factor, 2.3 * factor))


def test_sform_goes_before_qform_and_qform_before_the_sides(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    image.set_sform(affine_of("LPS"), 1)
    image.set_qform(affine_of("RAS"), 1)
    for qform, sform, expected in (
        (1, 1, affine_of("LPS")),
        (1, 0, affine_of("RAS")),
        (0, 0, np.diag((0.7, 1.1, 2.3, 1))),
    ):
        path = patched(tmp_path, image, qform_code=qform, sform_code=sform)
        assert np.allclose(open_nifti(path).affine, expected[:3], atol=1e-5)


@pytest.mark.parametrize("sides", [(0.7, 0, 2.3), (-0.7, 1.1, 2.3), (np.nan, np.nan, np.nan), (0, 0, 0)])
@pytest.mark.parametrize("qform", [0, 1])
def test_voxel_sizes_that_make_no_sense_do_not_matter_beside_a_whole_sform(sides, qform, tmp_path):
    pixdim = (1, *sides, 1, 1, 1, 1)
    facts = open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("LPS"), pixdim=pixdim, qform_code=qform))
    assert np.allclose(facts.affine, affine_of("LPS")[:3])
    assert facts.spacing == pytest.approx((0.7, 1.1, 2.3))
    assert facts.findings == {"forms_unusable": ["qform", "pixdim"] if qform else ["pixdim"]}


@pytest.mark.parametrize("handed", [0, 1])
def test_a_flip_that_is_not_said_is_none(handed, tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    image.set_qform(affine_of("RAS"), 1)
    path = patched(tmp_path, image, sform_code=0, pixdim=(handed, 0.7, 1.1, 2.3, 1, 1, 1, 1))
    assert np.allclose(open_nifti(path).affine, affine_of("RAS")[:3], atol=1e-5)


@pytest.mark.parametrize("row", [(0, 0, 0, 0), (np.nan, 0, 0, 0)])
def test_an_sform_that_makes_no_sense_gives_way_to_a_whole_qform(row, tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    image.set_qform(affine_of("LPS"), 1)
    facts = open_nifti(patched(tmp_path, image, sform_code=1, srow_x=row))
    assert np.allclose(facts.affine, affine_of("LPS")[:3], atol=1e-5)
    assert (facts.findings, facts.forms.sform) == ({"forms_unusable": ["sform"]}, None)


def test_an_sform_and_a_qform_that_differ_are_both_kept_and_a_finding_says_how_far(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    moved = affine_of("LPS")
    moved[0, 3] += 5
    image.set_sform(affine_of("LPS"), 4)
    image.set_qform(moved, 1)
    facts = open_nifti(patched(tmp_path, image))
    assert facts.findings == {"forms_differ": pytest.approx(5, abs=1e-3)}
    assert np.allclose(facts.forms.qform, moved[:3], atol=1e-5)
    assert (facts.forms.sform_code, facts.forms.qform_code) == (4, 1)


def test_an_sform_and_a_qform_that_agree_but_for_their_rounding_are_no_finding(tmp_path):
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    turned = affine_of("LPS", turn=rotation(11, -7, 23))
    image.set_sform(turned, 1)
    image.set_qform(turned, 1)
    assert open_nifti(patched(tmp_path, image)).findings == {}


def test_a_file_without_any_orientation_says_so(tmp_path):
    facts = open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"), sform_code=0, qform_code=0))
    assert facts.findings == {"orientation_unknown": True}


def refused(tmp_path, **header):
    with pytest.raises(ItemError) as refusal:
        open_nifti(written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"), **header))
    return type(refusal.value), refusal.value.detail.split()[0]


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        ({"dim": (1, 60, 1, 1, 1, 1, 1, 1)}, (TagInvalid, "dim")),
        ({"dim": (9, 5, 4, 3, 1, 1, 1, 1)}, (TagInvalid, "dim")),
        ({"dim": (3, 5, -4, 3, 1, 1, 1, 1)}, (TagInvalid, "dim")),
        ({"dim": (3, 5, 0, 3, 1, 1, 1, 1)}, (ZeroSized, "dim")),
        ({"dim": (5, 5, 4, 1, 1, 3, 1, 1)}, (UnsupportedImage, "dim")),
        ({"dim": (3, 5, 4, 30000, 1, 1, 1, 1)}, (Truncated, "The")),
        ({"datatype": 7}, (TagInvalid, "datatype")),
        ({"datatype": 32}, (UnsupportedImage, "Voxels")),
        ({"datatype": 1536}, (UnsupportedImage, "Voxels")),
        ({"vox_offset": np.nan}, (TagInvalid, "vox_offset")),
        ({"vox_offset": 100}, (TagInvalid, "vox_offset")),
        ({"vox_offset": 1e30}, (Truncated, "The")),
        ({"pixdim": (1, 1, 0, 1, 1, 1, 1, 1), "sform_code": 0}, (TagInvalid, "pixdim")),
        ({"pixdim": (1, 1, -1, 1, 1, 1, 1, 1), "sform_code": 0, "qform_code": 1}, (TagInvalid, "pixdim")),
        ({"quatern_b": 2, "sform_code": 0, "qform_code": 1}, (TagInvalid, "sform")),
        ({"scl_slope": 1, "scl_inter": np.inf}, (TagInvalid, "scl_inter")),
        ({"srow_x": (np.nan, 0, 0, 0)}, (TagInvalid, "sform")),
        ({"srow_x": (0, 0, 0, 0)}, (TagInvalid, "sform")),
        ({"srow_x": (1e30, 1e30, 1e30, 0), "srow_y": (1e30, 1e30, 1e30, 0)}, (TagInvalid, "sform")),
    ],
)
def test_a_field_that_cannot_be_used_is_named(header, verdict, tmp_path):
    assert refused(tmp_path, **header) == verdict


def test_a_side_longer_than_any_picture_is_refused(tmp_path):
    path = written(tmp_path, np.zeros((1, 1, 40_000), np.uint8), affine_of("RAS"), kind=nibabel.Nifti2Image)
    with pytest.raises(TooManyPixels, match="40000"):
        open_nifti(path)


@pytest.mark.parametrize(("length", "expected"), [(0, ZeroSized), (100, Truncated), (300, Truncated), (411, Truncated)])
def test_a_file_cut_short_is_refused(length, expected, tmp_path):
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(expected):
        open_nifti(path)


def test_a_long_header_cut_short_is_refused(tmp_path):
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"), kind=nibabel.Nifti2Image)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(Truncated):
        open_nifti(path)


def test_a_file_that_became_shorter_is_refused(tmp_path):
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"))
    facts = open_nifti(path)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(Truncated):
        read_slice(path, facts, 2, 0, None, turn_of(facts.affine, 2), max_pixels=LIMIT)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_mutated_header_gives_slices_or_a_coded_error(kind, tmp_path):
    whole = written(tmp_path, np.arange(120, dtype=np.int16).reshape(5, 4, 3, 2), affine_of("LPS"), kind).read_bytes()
    random = np.random.default_rng(5)
    read = 0
    for _ in range(600):
        damaged = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(0, 540))
            damaged[place : place + 2] = random.bytes(2)
        path = tmp_path / "damaged.nii"
        path.write_bytes(damaged)
        read += verdict(path)
    assert 0 < read < 600


def verdict(path):
    try:
        facts = open_nifti(path)
        for axis in range(3):
            for index in grid_of(facts, axis).places:
                read_slice(path, facts, axis, index, facts.volumes - 1, turn_of(facts.affine, axis), max_pixels=LIMIT)
    except ItemError:
        return 0
    return 1


def test_a_version_in_the_other_byte_order_is_told_by_its_first_number(tmp_path):
    path = written(tmp_path, np.zeros(SHAPE, np.uint8), affine_of("RAS"))
    file = bytearray(path.read_bytes())
    file[:4] = struct.pack(">i", 348)  # the rest stays: every number is nonsense now
    path.write_bytes(file)
    with pytest.raises(ItemError):
        open_nifti(path)
