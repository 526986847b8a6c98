"""Write an item's masks as a NIfTI label volume on the grid of the source."""

import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import igzip

from maskrelay.contract.records.source_frames import Forms, Grid
from maskrelay.imaging.item_files import MaskOf
from maskrelay.imaging.orientation import unturned

#: Returns a frame's labels by its place in the item: (height, width) integers, oriented as displayed; 0 is background.
LabelsOf = Callable[[int], npt.NDArray[np.integer]]
_Plane = npt.NDArray[np.integer]
# neither library has types
_Header: Any = nib.Nifti1Header
_GzipFile: Any = igzip.IGzipFile

_LEVEL = 2  # of igzip's 0..3: a label volume shrinks about a hundredfold at any of them
_HELD = 8 << 20  # bytes of planes gathered at once if frames are not the planes of the file
_SHEAR = 1e-3  # millimetres of error in a voxel's edge above which no quaternion is declared


def write_labels_nifti(out: BinaryIO, grid: Grid, labels_of: LabelsOf, prompts: int) -> None:
    """Write one label volume as .nii.gz: value = prompt number from 1.

    uint8, or uint16 for more than 255 prompts; intent 1002 (label); millimetres. sform and qform are the source's with
    its codes if that was a NIfTI; otherwise they hold the grid's affine with code 1. A sheared grid (tilted gantry) has
    no quaternion, so its qform has code 0. Slices without a frame are 0. The same input gives the same bytes. Source:
    nifti1.h.
    """
    dtype = np.dtype("<u1" if prompts <= 255 else "<u2")
    header = _header(grid, dtype)
    planes = _own_planes(grid, labels_of, dtype) if grid.axis == 2 else _gathered_planes(grid, labels_of, dtype)
    with _GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=out, mtime=0) as packed:
        packed.write(header)
        for plane in planes:
            packed.write(plane.tobytes())


def write_mask_nifti(out: BinaryIO, grid: Grid, mask_of: MaskOf, prompt: int) -> None:
    """Write one prompt's masks as a volume of 0 and 1; otherwise like `write_labels_nifti`."""
    write_labels_nifti(out, grid, lambda frame: mask_of(frame, prompt).view(np.uint8), prompts=1)


def _header(grid: Grid, dtype: np.dtype[np.unsignedinteger]) -> bytes:
    affine = np.array([*grid.affine, (0.0, 0.0, 0.0, 1.0)])
    header = _Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_intent("label", name="prompt number")
    header.set_xyzt_units("mm")
    header.set_qform(affine, code=1)  # which sets the voxel sizes too
    sheared = np.abs(header.get_qform()[:3, :3] - affine[:3, :3]).max() > _SHEAR
    header.set_qform(affine, code=0 if sheared else 1)
    header.set_sform(affine, code=1)
    if grid.forms is not None:
        _declare(header, grid.forms, affine)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    whole: bytes = header.binaryblock
    return whole + bytes(4)  # no extensions


def _declare(header: Any, forms: Forms, affine: npt.NDArray[np.float64]) -> None:
    """Declare the source's own forms, so that every reader places both volumes alike, whichever form it uses."""
    qform = affine if forms.qform is None else np.array([*forms.qform, (0.0, 0.0, 0.0, 1.0)])
    sform = affine if forms.sform is None else np.array([*forms.sform, (0.0, 0.0, 0.0, 1.0)])
    header.set_qform(qform, code=forms.qform_code)
    header.set_sform(sform, code=forms.sform_code)


def _slices(grid: Grid, labels_of: LabelsOf) -> Iterator[tuple[int, _Plane]]:
    """Each frame's slice number along the grid's axis and its stored slice, in order."""
    sides = tuple(side for axis, side in enumerate(grid.shape) if axis != grid.axis)
    for frame in sorted(range(len(grid.places)), key=grid.places.__getitem__):
        stored = unturned(labels_of(frame), grid.turn)
        if stored.shape != sides:
            raise ValueError(f"a frame has the shape {stored.shape} where the grid's slices have {sides}")
        yield grid.places[frame], stored


def _own_planes(grid: Grid, labels_of: LabelsOf, dtype: np.dtype[np.unsignedinteger]) -> Iterator[_Plane]:
    """Frames cut along k are planes of the file: [j, i], i fastest."""
    width, height, depth = grid.shape
    empty = np.zeros((height, width), dtype)
    following = 0
    for place, stored in _slices(grid, labels_of):
        yield from (empty for _ in range(following, place))
        yield stored.T.astype(dtype)
        following = place + 1
    yield from (empty for _ in range(following, depth))


def _gathered_planes(grid: Grid, labels_of: LabelsOf, dtype: np.dtype[np.unsignedinteger]) -> Iterator[_Plane]:
    """Frames cut along i or j cross every plane of the file, so they are first written to a temporary file.

    There a slice is [k, other], k slowest: a run of planes is one short read per slice, and memory holds no more.
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
    """`many` values of k from `first`, of every slice: (slices, many, others)."""
    count, depth, others = shape
    block = np.empty((count, many, others), dtype)
    for place in range(count):
        spool.seek((place * depth + first) * others * dtype.itemsize)
        block[place] = np.frombuffer(spool.read(many * others * dtype.itemsize), dtype).reshape(many, others)
    return block
