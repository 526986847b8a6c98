"""MedImageParse 3D's wire format; nibabel, which is not ours, writes the files and reads the placements."""

import base64
import gzip
import json
import struct

import nibabel
import numpy as np
import pytest

from maskrelay.contract.formats.nifti_header import read_header
from maskrelay.contract.wire import volume3d
from maskrelay.contract.wire.image2d import Row
from maskrelay.contract.wire.volume3d import encode_volume, parse_volume
from maskrelay.errors import AnswerInvalid

SHAPE = (5, 4, 3)
#: Turned about z by 30 degrees, slanted sides, an offset.
AFFINE = np.array(
    [[0.7794, -0.4, 0, -90.5], [0.45, 0.6928, 0, 126], [0, 0, 2.5, -72], [0, 0, 0, 1]],
)
PROMPTS = ("liver", "spleen")
CAP = 1 << 20


def nifti(voxels, affine=AFFINE, kind=nibabel.Nifti1Image, **header):
    """A file as nibabel writes it; `header` fields are set last."""
    image = kind(voxels, affine)
    for name, value in header.items():
        image.header[name] = value
    return image.to_bytes()


QUESTION = nifti(np.arange(60, dtype=np.int16).reshape(SHAPE))
LABELS = (np.arange(60) % 3).astype(np.uint8).reshape(SHAPE)
ROWS = [Row(QUESTION, PROMPTS)]


def body(file, packed=True):
    inner = base64.b64encode(gzip.compress(file) if packed else file).decode()
    return json.dumps([{"nifti_file": json.dumps({"data": inner})}]).encode()


def refused(given, rows=ROWS, max_bytes=CAP):
    with pytest.raises(AnswerInvalid) as caught:
        parse_volume(given, rows, max_bytes=max_bytes)
    error = caught.value
    assert error.raw == given
    assert error.__context__ is None
    return error.kind


def test_the_request_is_the_envelope_with_a_gzip_of_the_volume():
    sent = json.loads(encode_volume(ROWS))["input_data"]
    [[image, text]] = sent["data"]
    assert (sent["columns"], sent["index"], text) == (["image", "text"], [0], "liver & spleen")
    assert gzip.decompress(base64.b64decode(image)) == QUESTION
    assert encode_volume(ROWS) == encode_volume(ROWS)


def test_a_volume_that_is_gzip_already_is_sent_as_it_is():
    packed = gzip.compress(QUESTION, 9)
    [[image, _]] = json.loads(encode_volume([Row(packed, PROMPTS)]))["input_data"]["data"]
    assert base64.b64decode(image) == packed


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], "one volume"),
        (ROWS * 2, "one volume"),
        ([Row(QUESTION, ())], "prompts"),
        ([Row(QUESTION, ("p",) * 256)], "prompts"),
        ([Row(b"\x89PNG", PROMPTS)], "not a NIfTI file"),
        ([Row(QUESTION[:345], PROMPTS)], "incomplete"),
        ([Row(gzip.compress(QUESTION)[:9] + b"garbage", PROMPTS)], "gzip is damaged"),
        ([Row(nifti(np.zeros((2, 2, 2, 2), np.uint8)), PROMPTS)], "dim"),
        ([Row(nifti(np.zeros((2, 2), np.uint8)), PROMPTS)], "dim"),
    ],
)
def test_what_is_no_single_volume_is_not_sent(rows, named):
    with pytest.raises(ValueError, match=named):
        encode_volume(rows)


def test_a_volume_over_the_limit_is_not_sent(monkeypatch):
    monkeypatch.setattr(volume3d, "MAX_VOLUME_BYTES", 119)
    with pytest.raises(ValueError, match="more than 119 bytes"):
        encode_volume(ROWS)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", ">i2", ">i4", ">u8"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_a_label_map_of_any_integer_type_becomes_one_byte_a_voxel_in_the_files_order(dtype, kind):
    header = kind.header_class(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    file = kind(LABELS.astype(dtype), AFFINE, header).to_bytes()
    [answer] = parse_volume(body(file), ROWS, max_bytes=CAP)
    assert answer.shape == SHAPE
    assert (np.frombuffer(answer.labels, np.uint8).reshape(SHAPE, order="F") == LABELS).all()
    assert np.allclose(answer.affine, AFFINE[:3])


@pytest.mark.parametrize(
    "given",
    [
        body(nifti(LABELS), packed=False),
        json.dumps([{"nifti_file": {"data": base64.encodebytes(gzip.compress(nifti(LABELS))).decode()}}]).encode(),
        body(nifti(LABELS.reshape((*SHAPE, 1)))),
        body(nifti(LABELS, scl_slope=1.0, scl_inter=0.0)),
    ],
    ids=["no gzip", "an object, and base64 with line breaks", "a fourth side of 1", "a slope of 1"],
)
def test_other_forms_of_the_same_are_read(given):
    [answer] = parse_volume(given, ROWS, max_bytes=CAP)
    assert answer.labels == LABELS.tobytes(order="F")


@pytest.mark.parametrize("packed", [QUESTION, gzip.compress(QUESTION)])
def test_the_simplest_answer_to_each_form_of_the_question(packed):
    [answer] = parse_volume(body(nifti(np.zeros(SHAPE, np.uint8))), [Row(packed, PROMPTS)], max_bytes=CAP)
    assert answer.labels == bytes(60)


GOOD = nifti(LABELS)
NOISE = np.random.default_rng(1).integers(0, 255, SHAPE, np.uint8)
MOVED = AFFINE + np.array([[0, 0, 0, 0.02], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
FLIPPED = AFFINE * np.array([[1], [1], [-1], [1]])
BAD = {
    "no JSON": (b"[{", "not_json"),
    "no list": (b"{}", "row_count"),
    "no answer": (b"[]", "row_count"),
    "two answers": (json.dumps([{"nifti_file": "{}"}] * 2).encode(), "row_count"),
    "no object": (b'["x"]', "nifti_file"),
    "the 2-D answer": (b'[{"image_features": "{}"}]', "nifti_file"),
    "no data": (json.dumps([{"nifti_file": "{}"}]).encode(), "nifti_file"),
    "no inner JSON": (json.dumps([{"nifti_file": "{'data': 'H4sI'}"}]).encode(), "not_json"),
    "no base64": (json.dumps([{"nifti_file": '{"data": "%%%"}'}]).encode(), "base64"),
    "no NIfTI": (body(b"nothing"), "header"),
    "a damaged gzip": (body(gzip.compress(GOOD)[:-8] + b"\xff" * 8, packed=False), "gzip"),
    "a gzip cut short": (body(gzip.compress(nifti(NOISE))[:-30], packed=False), "size"),
    "a gzip without its end": (body(gzip.compress(GOOD)[:-4], packed=False), "gzip"),
    "a file cut short": (body(GOOD[:-1]), "size"),
    "a file too long": (body(GOOD + b"\0"), "size"),
    "another shape": (body(nifti(LABELS[:4])), "shape"),
    "turned sides": (body(nifti(LABELS.transpose(1, 0, 2))), "shape"),
    "floats": (body(nifti(LABELS.astype(np.float32))), "dtype"),
    "scaled": (body(nifti(LABELS, scl_slope=2.0, scl_inter=0.0)), "dtype"),
    "shifted": (body(nifti(LABELS, scl_slope=1.0, scl_inter=1.0)), "dtype"),
    "moved": (body(nifti(LABELS, MOVED)), "affine"),
    "flipped": (body(nifti(LABELS, FLIPPED)), "affine"),
    "no place": (body(nifti(LABELS, None)), "affine"),
    "a place that is no number": (body(GOOD[:280] + struct.pack("<f", np.nan) + GOOD[284:]), "header"),
    "a label without a prompt": (body(nifti(LABELS + np.uint8(1))), "labels"),
    "a label below 0": (body(nifti(LABELS.astype(np.int16) - 1)), "labels"),
    "a label over a byte": (body(nifti(LABELS.astype(np.int32) * 256)), "labels"),
    "voxels in the header": (body(GOOD[:108] + struct.pack("<f", 100) + GOOD[112:]), "header"),
    "voxels far away": (body(GOOD[:108] + struct.pack("<f", 1e9) + GOOD[112:]), "too_large"),
    "over the cap": (b" " * (CAP + 1), "too_large"),
}


@pytest.mark.parametrize(("given", "kind"), BAD.values(), ids=BAD.keys())
def test_what_breaks_the_contract_is_named_and_kept(given, kind):
    assert refused(given) == kind


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(GOOD + bytes(200_000_000))
    assert refused(body(bomb, packed=False)) == "size"


def test_the_quaternion_of_a_question_is_the_sform_of_its_answer():
    question = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    turned = np.array([[0, -2.0, 0, 10], [1.5, 0, 0, -20], [0, 0, -3.0, 30], [0, 0, 0, 1]])
    question.set_qform(turned, code=1)
    question.header["sform_code"] = 0
    rows = [Row(question.to_bytes(), PROMPTS)]
    [answer] = parse_volume(body(nifti(LABELS, turned)), rows, max_bytes=CAP)
    assert np.allclose(answer.affine, turned[:3], atol=1e-5)
    assert refused(body(nifti(LABELS)), rows) == "affine"


def test_both_placements_of_an_answer_have_to_fit():
    answer = nibabel.Nifti1Image(LABELS, AFFINE)
    answer.set_qform(FLIPPED, code=1)
    assert refused(body(answer.to_bytes())) == "affine"


@pytest.mark.parametrize("seed", range(20))
def test_quaternions_are_read_as_nibabel_reads_them(seed):
    rand = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rand.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * rand.uniform(0.3, 5, size=3)
    affine[:3, 3] = rand.uniform(-300, 300, size=3)
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), None)
    image.set_qform(affine, code=1)
    image.header["sform_code"] = 0
    [read] = read_header(image.to_bytes()).affines
    assert np.allclose(read, image.header.get_qform()[:3], atol=1e-4)
