r"""The wire format of MedImageParse 3D, which segments a NIfTI volume and returns an integer label map.

The label map has the same shape and affine as the volume. A request has the same form as one for the 2-D model, but
`image` is a .nii.gz file in base64. A response has the form `[{"nifti_file": "{\"data\": <base64 of a .nii.gz>}"}]`.
Source: the published examples of the model's requests and responses.
"""

import gzip
import itertools
import json
import zlib
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from maskrelay.contract.formats.nifti_header import (
    HEADER_BYTES,
    INTEGERS,
    Affine,
    NiftiHeader,
    read_header,
)
from maskrelay.contract.wire.image2d import Row, encode_request
from maskrelay.errors import AnswerInvalid, ItemError, TagInvalid

#: The largest total size of the voxels of one volume, in bytes. It applies to requests and responses.
MAX_VOLUME_BYTES = 1 << 30
#: The largest number of prompts for a volume. A label is one byte, and 0 is the background.
MAX_VOLUME_PROMPTS = 255
#: The largest offset of the voxels in a label map's file, in bytes. A file may have extensions between the header and
#: the voxels.
_EXTENSIONS = 1 << 20
#: The greatest distance between a corner of the label map and the same corner of the volume, as a fraction of the
#: shortest side of a voxel. It is just large enough for the rounding errors that arise if an affine is converted to
#: 32-bit floats, or to a quaternion and back.
_OFF_PLACE = 0.01
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class VolumeAnswer:
    """A label map."""

    #: One byte for each voxel. 0 is the background, and k is prompt number k, counted from 1. x varies fastest.
    labels: bytes
    #: The numbers of voxels along x, y and z.
    shape: tuple[int, int, int]
    #: The map from voxel indices to positions, as in the request.
    affine: Affine


def encode_volume(rows: Sequence[Row]) -> bytes:
    """Return the JSON body of the request that scores one volume.

    The `image` of the row is a NIfTI file, with or without gzip compression. It is sent with compression. Raises
    ValueError if there is not exactly one row, if there are no prompts or more than MAX_VOLUME_PROMPTS, or if the file
    is not a volume or is too large. Each of these would be a bug in the calling code, and not an error of the endpoint.
    """
    [row] = _one(rows)
    if not 0 < len(row.prompts) <= MAX_VOLUME_PROMPTS:
        raise ValueError(f"a volume has 1 to {MAX_VOLUME_PROMPTS} prompts, not {len(row.prompts)}")
    _question(row.image)
    packed = row.image if row.image.startswith(_GZIP) else gzip.compress(row.image, 6, mtime=0)
    return encode_request([Row(packed, row.prompts)])


def parse_volume(body: bytes | bytearray, rows: Sequence[Row], *, max_bytes: int) -> list[VolumeAnswer]:
    """Parse the response to the one row, and check it against the request.

    The body may have up to `max_bytes` bytes. The label map must have the shape and the position of the volume, an
    integer type, and only labels of existing prompts. Raises AnswerInvalid for any other response. Its `detail` names
    the faulty part and quotes nothing of the body, its `kind` is the name of the fault in metrics, and its `raw` is the
    body. Raises ValueError in the same cases as `encode_volume`.
    """
    [row] = _one(rows)
    question = _question(row.image)
    try:
        if len(body) > max_bytes:
            _refuse("too_large", f"the answer has {len(body)} bytes; the limit is {max_bytes}")
        return [_labels(_file(body), question, len(row.prompts))]
    except AnswerInvalid as error:
        error.raw = bytes(body)
        raise


def _one(rows: Sequence[Row]) -> Sequence[Row]:
    if len(rows) != 1:
        raise ValueError(f"a request must have one volume, not {len(rows)}")
    return rows


def _question(image: bytes) -> NiftiHeader:
    head = image[:HEADER_BYTES]
    if image.startswith(_GZIP):
        try:
            head = zlib.decompressobj(wbits=31).decompress(image, HEADER_BYTES)
        except zlib.error:
            raise ValueError("the volume's gzip is damaged") from None
    try:
        header = _one_volume(head)
    except ItemError as error:
        raise ValueError(error.detail) from None
    if header.voxels * header.itemsize > MAX_VOLUME_BYTES:
        raise ValueError(f"the volume has more than {MAX_VOLUME_BYTES} bytes of voxels")
    return header


def _one_volume(head: bytes) -> NiftiHeader:
    header = read_header(head)
    if len(header.dims) < 3 or header.volumes != 1:
        raise TagInvalid("dim does not describe one volume of three dimensions.")
    return header


def _file(body: bytes | bytearray) -> bytes:
    """Return the .nii.gz file in a response."""
    answers = _json(body, "the body")
    if not isinstance(answers, list) or len(answers) != 1:
        _refuse("row_count", "the body is not a list of one answer")
    fields = answers[0]
    if not isinstance(fields, dict) or "nifti_file" not in fields:
        _refuse("nifti_file", "the answer has no nifti_file")
    inner = fields["nifti_file"]
    inner = _json(inner, "nifti_file") if isinstance(inner, str) else inner
    packed = inner.get("data") if isinstance(inner, dict) else None
    if not isinstance(packed, str):
        _refuse("nifti_file", "nifti_file has no data")
    try:
        return a2b_base64(packed.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:
        pass
    return _refuse("base64", "nifti_file.data is not base64")


def _labels(packed: bytes, question: NiftiHeader, prompts: int) -> VolumeAnswer:
    """Return the checked label map.

    The header is checked before the voxels are decompressed. The decompression stops if there are more voxels than the
    header declares.
    """
    head, _ = _unpack(packed, HEADER_BYTES)
    answer = _judged(head, question)
    expected = answer.start + answer.voxels * answer.itemsize
    unpacked, ended = _unpack(packed, expected + 1)
    if len(unpacked) == expected and not ended:
        _refuse("gzip", "the label map's gzip ends early")
    if len(unpacked) != expected:
        found = "more" if len(unpacked) > expected else len(unpacked)
        _refuse("size", f"the label map has {found} bytes, but its header requires {expected}")
    labels = _narrowed(memoryview(unpacked)[answer.start :], answer)
    if labels is None or labels.translate(None, bytes(range(prompts + 1))):
        _refuse("labels", f"the label map has values other than 0 to {prompts}")
    return VolumeAnswer(labels, answer.shape, question.affines[0])


def _unpack(packed: bytes, most: int) -> tuple[bytes, bool]:
    """Return the first decompressed bytes, at most `most` of them, and whether the file has no more bytes.

    The limit prevents a small response from expanding to a huge file.
    """
    if not packed.startswith(_GZIP):
        return packed[:most], len(packed) <= most
    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(packed, most), unpacker.eof
    except zlib.error:
        pass
    return _refuse("gzip", "the label map's gzip is damaged")


def _judged(head: bytes, question: NiftiHeader) -> NiftiHeader:
    said = ""
    try:
        answer = _one_volume(head)
    except ItemError as error:
        said = error.detail
    if said:
        _refuse("header", f"the label map's header: {said}")
    if answer.shape != question.shape:
        _refuse("shape", f"the label map has the shape {answer.shape}, but the volume has {question.shape}")
    if answer.datatype not in INTEGERS or answer.scaled:
        _refuse("dtype", "the label map's values are not plain integers")
    if answer.start > _EXTENSIONS or answer.voxels * answer.itemsize > MAX_VOLUME_BYTES:
        _refuse("too_large", "the label map is larger than any volume may be")
    if not all(_in_place(affine, question) for affine in answer.affines):
        _refuse("affine", "the label map is not at the position of the volume")
    return answer


def _in_place(affine: Affine, question: NiftiHeader) -> bool:
    """Return whether every corner of the label map is at the position of the volume's corner.

    If the corners are at their positions, all other voxels are too, because the difference of two affines is greatest
    at a corner.
    """
    most = _OFF_PLACE * min(question.sides)
    corners = list(itertools.product(*((0, side - 1) for side in question.shape)))
    for ours, theirs in zip(question.affines[0], affine, strict=True):
        x, y, z, shift = (one - other for one, other in zip(ours, theirs, strict=True))
        if any(abs(x * i + y * j + z * k + shift) > most for i, j, k in corners):
            return False
    return True


def _narrowed(voxels: memoryview, header: NiftiHeader) -> bytes | None:
    """Return each voxel as one byte, or None if the value of a voxel is not between 0 and 255."""
    size = header.itemsize
    low = 0 if header.order == "<" else size - 1
    for place in range(size):
        if place != low and bytes(voxels[place::size]).strip(b"\0"):
            return None
    return bytes(voxels[low::size])


def _json(text: bytes | bytearray | str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    # The new error is raised outside the exception handler. Otherwise, its context would be the decoder's error, which
    # contains the whole document.
    return _refuse("not_json", f"{where} is not JSON")


def _refuse(kind: str, detail: str) -> NoReturn:
    raise AnswerInvalid(detail, status=200, kind=kind)
