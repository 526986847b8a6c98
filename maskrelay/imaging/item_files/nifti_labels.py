"""The masks of an item as a NIfTI label volume on the grid of the source."""

import json
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import igzip

from maskrelay.contract.records.source_frames import Forms, Grid
from maskrelay.imaging.item_files import MaskOf
from maskrelay.imaging.orientation import unturned

#: A function that returns the labels of a frame as a (height, width) integer array in the orientation for display. 0 is
#: the background. The argument of the function is the number of the frame within the item.
LabelsOf = Callable[[int], npt.NDArray[np.integer]]
_Plane = npt.NDArray[np.integer]
# nibabel and isal have no type annotations
_Header: Any = nib.Nifti1Header
_GzipFile: Any = igzip.IGzipFile

_COMMENT = 6  # the code of an extension that is plain text
_LEVEL = 2  # igzip has the levels 0 to 3; a label volume shrinks about a hundredfold at each of them
_HELD = 8 << 20  # the bytes of planes that are in memory at once if frames are not the planes of the file
_SHEAR = 1e-3  # the largest error of a voxel's edge, in millimetres, for which a quaternion is declared


def write_labels_nifti(out: BinaryIO, grid: Grid, labels_of: LabelsOf, prompts: int, names: Sequence[str] = ()) -> None:
    """Write one label volume as a .nii.gz file.

    The value of a voxel is the number of its prompt, counted from 1, or 0 outside all masks. The type is uint8, or
    uint16 if there are more than 255 prompts. The intent is 1002 (label), and the unit is the millimetre. If the source
    is a NIfTI file, sform and qform are those of the source with their codes. Otherwise, both are the affine of the
    grid, with code 1. A sheared grid (from a tilted gantry) cannot be described by a quaternion, so its qform has code
    0. Slices without a frame contain only 0. The same input always gives the same bytes. Source: nifti1.h.

    If `names` is given, the header is followed by an extension of code 6 (comment): the JSON document
    `{"labels": {"1": name, …}}`.
    """
    dtype = np.dtype("<u1" if prompts <= 255 else "<u2")
    header = _header(grid, dtype, _extension(names))
    planes = _own_planes(grid, labels_of, dtype) if grid.axis == 2 else _gathered_planes(grid, labels_of, dtype)
    with _GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=out, mtime=0) as packed:
        packed.write(header)
        for plane in planes:
            packed.write(plane.tobytes())


def write_mask_nifti(out: BinaryIO, grid: Grid, mask_of: MaskOf, prompt: int) -> None:
    """Write the masks of one prompt as a volume of 0 and 1, like `write_labels_nifti`."""
    write_labels_nifti(out, grid, lambda frame: mask_of(frame, prompt).view(np.uint8), prompts=1)


def _extension(names: Sequence[str]) -> bytes:
    """Return the extension with the names of the labels. Its size is a multiple of 16 bytes, as the format requires."""
    if not names:
        return b""
    labels = {str(number): name for number, name in enumerate(names, 1)}
    text = json.dumps({"labels": labels}, ensure_ascii=False).encode()
    size = -(-(len(text) + 8) // 16) * 16
    return struct.pack("<ii", size, _COMMENT) + text.ljust(size - 8, b"\0")


def _header(grid: Grid, dtype: np.dtype[np.unsignedinteger], extension: bytes) -> bytes:
    affine = np.array([*grid.affine, (0.0, 0.0, 0.0, 1.0)])
    header = _Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_intent("label", name="prompt number")
    header.set_xyzt_units("mm")
    header.set_qform(affine, code=1)  # sets the voxel sizes too
    sheared = np.abs(header.get_qform()[:3, :3] - affine[:3, :3]).max() > _SHEAR
    header.set_qform(affine, code=0 if sheared else 1)
    header.set_sform(affine, code=1)
    if grid.forms is not None:
        _declare(header, grid.forms, affine)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352 + len(extension)
    whole: bytes = header.binaryblock
    return whole + bytes([bool(extension), 0, 0, 0]) + extension


def _declare(header: Any, forms: Forms, affine: npt.NDArray[np.float64]) -> None:
    """Declare the sform and qform of the source.

    Then programs place the source and the labels alike, whichever form they use.
    """
    qform = affine if forms.qform is None else np.array([*forms.qform, (0.0, 0.0, 0.0, 1.0)])
    sform = affine if forms.sform is None else np.array([*forms.sform, (0.0, 0.0, 0.0, 1.0)])
    header.set_qform(qform, code=forms.qform_code)
    header.set_sform(sform, code=forms.sform_code)


def _slices(grid: Grid, labels_of: LabelsOf) -> Iterator[tuple[int, _Plane]]:
    """Yield each frame's slice number along the axis of the grid, and its stored slice, in ascending order."""
    sides = tuple(side for axis, side in enumerate(grid.shape) if axis != grid.axis)
    for frame in sorted(range(len(grid.places)), key=grid.places.__getitem__):
        stored = unturned(labels_of(frame), grid.turn)
        if stored.shape != sides:
            raise ValueError(f"a frame has the shape {stored.shape}, but the slices of the grid have {sides}")
        yield grid.places[frame], stored


def _own_planes(grid: Grid, labels_of: LabelsOf, dtype: np.dtype[np.unsignedinteger]) -> Iterator[_Plane]:
    """Yield the planes of the file from frames that are cut along k, so each frame is a plane.

    In a plane, i varies fastest.
    """
    width, height, depth = grid.shape
    empty = np.zeros((height, width), dtype)
    following = 0
    for place, stored in _slices(grid, labels_of):
        yield from (empty for _ in range(following, place))
        yield stored.T.astype(dtype)
        following = place + 1
    yield from (empty for _ in range(following, depth))


def _gathered_planes(grid: Grid, labels_of: LabelsOf, dtype: np.dtype[np.unsignedinteger]) -> Iterator[_Plane]:
    """Yield the planes of the file from frames that are cut along i or j.

    Each of these frames crosses every plane, so the frames are first written to a temporary file. In that file, k
    varies slowest within a slice. Consecutive planes can therefore be read with one short read for each slice, and no
    more than these planes are in memory.
    """
    width, height, depth = grid.shape
    others = height if grid.axis == 0 else width
    count = grid.shape[grid.axis]
    run = max(1, _HELD // (count * others * dtype.itemsize))
    with tempfile.TemporaryFile() as spool:
        spool.truncate(count * depth * others * dtype.itemsize)
        for place, stored in _slices(grid, labels_of):
            spool.seek(place * depth * others * dtype.itemsize)
            spool.write(stored.T.astype(dtype).tobytes())
        for first in range(0, depth, run):
            block = _run(spool, (count, depth, others), first, min(run, depth - first), dtype)
            # [slice, k, other] → planes [j, i]
            yield from (block[:, k].T if grid.axis == 0 else block[:, k] for k in range(block.shape[1]))


def _run(
    spool: IO[bytes], shape: tuple[int, int, int], first: int, many: int, dtype: np.dtype[np.unsignedinteger]
) -> _Plane:
    """Read, from every slice, `many` values of k from `first` on, as an array of shape (slices, many, others)."""
    count, depth, others = shape
    block = np.empty((count, many, others), dtype)
    for place in range(count):
        spool.seek((place * depth + first) * others * dtype.itemsize)
        block[place] = np.frombuffer(spool.read(many * others * dtype.itemsize), dtype).reshape(many, others)
    return block
