"""Read NIfTI-1 and NIfTI-2 volumes (single files, already decompressed) one slice at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrelay.contract.formats.nifti_header import HEADER_BYTES, NiftiHeader, read_header
from maskrelay.contract.records.source_frames import (
    Affine,
    Forms,
    Grid,
    Orientation,
)
from maskrelay.errors import (
    FrameOutOfRange,
    TooManyPixels,
    Truncated,
    UnsupportedImage,
    VolumeNeeded,
    ZeroSized,
)
from maskrelay.imaging.canvas.letterbox import LONGEST_SIDE
from maskrelay.imaging.orientation import turn_of, turned
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.footprint import nifti_footprint
from maskrelay.imaging.read.image_header import check_size

_RGB24 = 128
#: Supported voxel types by NIfTI code, as numpy types without byte order. Complex and 128-bit types are not images.
_STORED = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    _RGB24: "u1",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
#: Bytes that are scaled at a time when a whole volume is traversed.
_WALKED = 1 << 20
#: Types for scaled integers, smallest first. Signed bytes are left out: 8-bit values would be shown unscaled.
_WHOLE = tuple(np.dtype(name) for name in ("u1", "u2", "i2", "u4", "i4", "i8"))
#: How far sform and qform may place a corner of the volume apart, as a multiple of the smallest voxel side.
_SAME_PLACE = 0.05


@dataclass(frozen=True, slots=True)
class NiftiFacts:
    """The facts of a file's header that reading needs."""

    #: Voxels along x, y, z of one volume.
    shape: tuple[int, int, int]
    #: The number of volumes.
    volumes: int
    #: Voxel index to millimetres, RAS+ (sform, else qform, else voxel sizes).
    affine: Affine
    #: Millimetres from voxel to voxel along x, y, z.
    spacing: tuple[float, float, float]
    #: The type of the values after scaling; one byte only if bytes are stored and not scaled.
    values: np.dtype[Any]
    #: Whether a voxel is three bytes of colour.
    rgb: bool
    #: The type of the values in the file.
    stored: np.dtype[Any]
    #: The offset of the voxels in the file.
    start: int
    #: A value is stored · slope + shift.
    slope: float
    shift: float
    #: Both affines as declared.
    forms: Forms
    #: What is wrong with the affines, by code.
    findings: dict[str, Any]

    @property
    def bits(self) -> int:
        return 8 * self.values.itemsize

    @property
    def volume_bytes(self) -> int:
        return math.prod(self.shape) * self.stored.itemsize * (3 if self.rgb else 1)


def open_nifti(path: Path) -> NiftiFacts:
    """Read the header of the file at `path`, and check that the file holds all of its voxels.

    Raises the ItemErrors of `contract.nifti.read_header`, ZeroSized for an empty file, UnsupportedImage for an
    unsupported voxel type, TooManyPixels for a side that is too long, and Truncated.
    """
    with path.open("rb") as file:
        facts = read_facts_of(file.read(HEADER_BYTES))
    size, needed = path.stat().st_size, facts.start + facts.volumes * facts.volume_bytes
    if size < needed:
        raise Truncated(f"The file has {size} bytes where its header asks for {needed}.")
    return facts


def read_facts_of(head: bytes) -> NiftiFacts:
    """Read the first HEADER_BYTES of a file. Raises as `open_nifti` does, except for missing voxels."""
    if not head:
        raise ZeroSized("The file is empty.")
    return _facts(read_header(head))


def walk_volume(chunks: Iterator[bytes], facts: NiftiFacts, number: int) -> Iterator[Plane]:
    """Yield the scaled values of volume `number` in file order, without the shape of an image, for statistics.

    chunks: the decompressed file. Raises Truncated.
    """
    left, skipped, held = facts.volume_bytes, facts.start + number * facts.volume_bytes, bytearray()
    voxel = facts.stored.itemsize * (3 if facts.rgb else 1)
    for chunk in chunks:
        passed = min(skipped, len(chunk))
        skipped -= passed
        held += chunk[passed : passed + left]
        left -= min(left, len(chunk) - passed)
        whole = len(held) // voxel * voxel
        if whole >= _WALKED or (whole and not left):
            yield _values(bytes(held[:whole]), facts)
            del held[:whole]
        if not left:
            return
    raise Truncated("The file ends before its last voxel.")


def _values(stored: bytes, facts: NiftiFacts) -> Plane:
    values = np.frombuffer(stored, facts.stored).reshape((-1, 1, 3) if facts.rgb else (-1, 1))
    return Plane(_scaled(values, facts), facts.bits)


def _facts(header: NiftiHeader) -> NiftiFacts:
    name = _STORED.get(header.datatype)
    if name is None:
        raise UnsupportedImage(f"Voxels of the NIfTI datatype {header.datatype} are not read.")
    if max(header.shape) > LONGEST_SIDE:
        raise TooManyPixels(f"dim has a side of {max(header.shape)} voxels; at most {LONGEST_SIDE} are taken.")
    rgb = header.datatype == _RGB24
    # the standard does not scale colours
    slope, shift = (1.0, 0.0) if rgb else (header.slope, header.shift)
    stored = np.dtype(header.order + name)
    affine = _in_millimetres(header.affines[0], header.unit)
    forms = _forms(header)
    return NiftiFacts(
        shape=header.shape,
        volumes=header.volumes,
        affine=affine,
        spacing=_spacing(affine),
        values=_value_type(stored, slope, shift),
        rgb=rgb,
        stored=stored,
        start=header.start,
        slope=slope,
        shift=shift,
        forms=forms,
        findings=_findings(header, forms),
    )


def _in_millimetres(affine: Affine, unit: float) -> Affine:
    return tuple((x * unit, y * unit, z * unit, offset * unit) for x, y, z, offset in affine)


def _spacing(affine: Affine) -> tuple[float, float, float]:
    """The sides of a voxel."""
    x, y, z = (math.hypot(*(row[axis] for row in affine)) for axis in range(3))
    return x, y, z


def _forms(header: NiftiHeader) -> Forms:
    found: dict[str, Any] = {}
    for name, form in (("sform", header.sform), ("qform", header.qform)):
        if form is not None:
            found |= {name: _in_millimetres(form[0], header.unit), f"{name}_code": form[1]}
    return Forms(**found)


def _findings(header: NiftiHeader, forms: Forms) -> dict[str, Any]:
    """Findings by code. `forms_differ`: how far sform and qform place a corner of the volume apart, in millimetres."""
    found: dict[str, Any] = {}
    if header.unusable:
        found["forms_unusable"] = list(header.unusable)
    if forms.sform is None and forms.qform is None:
        found["orientation_unknown"] = True
    elif forms.sform is not None and forms.qform is not None:
        last = [(0, side - 1) for side in header.shape]
        corners = np.array([[i, j, k, 1] for i in last[0] for j in last[1] for k in last[2]])
        worst = float(np.linalg.norm(corners @ (np.array(forms.sform) - np.array(forms.qform)).T, axis=1).max())
        if not worst <= _SAME_PLACE * min(_spacing(forms.sform)):
            found["forms_differ"] = round(worst, 3)
    return found


def _value_type(stored: np.dtype[Any], slope: float, shift: float) -> np.dtype[Any]:
    """An integer type for integers scaled by whole numbers, up to 64 bits; else float64, or the stored float type."""
    native = stored.newbyteorder("=")
    unscaled = (slope, shift) == (1, 0)
    if native.kind == "f":
        return native if unscaled else np.dtype(np.float64)
    if unscaled and native != np.int8:
        return native
    if slope == int(slope) and shift == int(shift):
        room = np.iinfo(native)
        low, high = sorted(int(end) * int(slope) + int(shift) for end in (room.min, room.max))
        for kind in _WHOLE:
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return kind
    return np.dtype(np.float64)


def grid_of(facts: NiftiFacts, axis: int) -> Grid:
    """Return the grid whose frames are all slices along the voxel axis `axis`, in stored order."""
    return Grid(
        shape=facts.shape,
        affine=facts.affine,
        axis=axis,
        places=tuple(range(facts.shape[axis])),
        turn=turn_of(facts.affine, axis),
        forms=facts.forms,
    )


def picture_spacing(facts: NiftiFacts, axis: int, turn: Orientation) -> tuple[float, float]:
    """Return the (row, column) spacing in millimetres of the image of a slice."""
    first, second = (side for other, side in enumerate(facts.spacing) if other != axis)
    return (second, first) if turn.transpose else (first, second)


def chosen_volume(facts: NiftiFacts, asked: int | None) -> int:
    """Return the volume that `asked` (from 0) names, or the only one. Raises VolumeNeeded."""
    if asked is None and facts.volumes == 1:
        return 0
    if asked is None or not 0 <= asked < facts.volumes:
        detail = f"The file has {facts.volumes} volumes; `volume` names one, from 0 to {facts.volumes - 1}."
        raise VolumeNeeded(detail)
    return asked


def read_slice(
    path: Path, facts: NiftiFacts, axis: int, index: int, volume: int | None, turn: Orientation, *, max_pixels: int
) -> Plane:
    """Read slice `index` along the voxel axis `axis`, scaled and oriented for display. The rest is not loaded.

    Raises VolumeNeeded, FrameOutOfRange, TooManyPixels, and Truncated if the file has become shorter.
    """
    number = chosen_volume(facts, volume)
    if not 0 <= index < facts.shape[axis]:
        raise FrameOutOfRange(f"The volume has {facts.shape[axis]} slices; number {index} is not among them.")
    height, width = (side for other, side in enumerate(facts.shape) if other != axis)
    check_size((height, width) if turn.transpose else (width, height), max_pixels)
    voxels = _mapped(path, facts, number)
    picture = turned(voxels[(slice(None),) * axis + (index,)], turn)
    return Plane(_scaled(picture, facts), facts.bits)


def slice_footprint(facts: NiftiFacts, axis: int) -> int:
    """Return the peak memory, in bytes, of `read_slice` and the conversion to the canvas for a slice along `axis`."""
    height, width = (side for other, side in enumerate(facts.shape) if other != axis)
    return nifti_footprint(width, height, facts.stored.itemsize * (3 if facts.rgb else 1))


def _mapped(path: Path, facts: NiftiFacts, number: int) -> npt.NDArray[Any]:
    """One memory-mapped volume, [x, y, z] or [x, y, z, colour]; nothing is read yet."""
    shape = (3, *facts.shape) if facts.rgb else facts.shape
    start = facts.start + number * facts.volume_bytes
    try:
        voxels = np.memmap(path, facts.stored, "r", start, shape, "F")
    except ValueError:
        raise Truncated from None
    return np.moveaxis(voxels, 0, -1) if facts.rgb else voxels


def _scaled(stored: npt.NDArray[Any], facts: NiftiFacts) -> npt.NDArray[Any]:
    """A new array in native byte order."""
    if (facts.slope, facts.shift) == (1, 0):
        return np.array(stored, facts.values, order="C")
    if facts.values.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # gives infinities and NaN, which windowing handles
            return np.array(stored, np.float64, order="C") * facts.slope + facts.shift
    return (np.array(stored, np.int64, order="C") * int(facts.slope) + int(facts.shift)).astype(facts.values)
