"""Reading of NIfTI-1 and NIfTI-2 volumes, one slice at a time. The files must be decompressed."""

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
#: The supported voxel types by NIfTI code, as numpy types without byte order. Complex numbers and 128-bit types are not
#: supported, because they are not used for images.
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
#: The number of bytes that are scaled at a time when a whole volume is traversed.
_WALKED = 1 << 20
#: The types for scaled integers, the smallest type first. Signed bytes are not included, because samples of 8 bits get
#: no window by default, which is right only for unsigned bytes.
_WHOLE = tuple(np.dtype(name) for name in ("u1", "u2", "i2", "u4", "i4", "i8"))
#: The sform and the qform are considered equal if their positions of each corner of the volume are at most this far
#: apart. The unit is the shortest side of a voxel.
_SAME_PLACE = 0.05
#: The cosine of the angle between the rows and the columns of a slice above which the slice is sheared. It is larger
#: than the rounding errors of a header.
_SKEWED = 1e-3


@dataclass(frozen=True, slots=True)
class NiftiFacts:
    """The information from the header of a file that is needed to read its slices."""

    #: The numbers of voxels along x, y and z in one volume.
    shape: tuple[int, int, int]
    #: The number of volumes.
    volumes: int
    #: The map from voxel indices to millimetres, RAS+. It is sform if that is usable, otherwise qform. If neither is
    #: usable, it follows from the voxel sizes.
    affine: Affine
    #: The distances from voxel to voxel along x, y and z, in millimetres.
    spacing: tuple[float, float, float]
    #: The type of the values after scaling.
    values: np.dtype[Any]
    #: Whether a voxel consists of three bytes of colour.
    rgb: bool
    #: The type of the values in the file.
    stored: np.dtype[Any]
    #: The offset of the voxels in the file.
    start: int
    #: The value of a voxel is its stored value times `slope` plus `shift`.
    slope: float
    shift: float
    #: The sform and the qform, as far as the header declares them.
    forms: Forms
    #: Irregularities of the affines, by code.
    findings: dict[str, Any]

    @property
    def bits(self) -> int:
        return 8 * self.values.itemsize

    @property
    def volume_bytes(self) -> int:
        return math.prod(self.shape) * self.stored.itemsize * (3 if self.rgb else 1)


def open_nifti(path: Path) -> NiftiFacts:
    """Read the header of the file at `path`, and check that the file contains all voxels.

    Raises the errors of `contract.formats.nifti_header.read_header`. In addition, raises ZeroSized if the file is
    empty, UnsupportedImage if the voxel type is not supported, TooManyPixels if a side is too long, and Truncated if
    voxels are missing.
    """
    with path.open("rb") as file:
        facts = read_facts_of(file.read(HEADER_BYTES))
    size, needed = path.stat().st_size, facts.start + facts.volumes * facts.volume_bytes
    if size < needed:
        raise Truncated(f"The file has {size} bytes, but its header requires {needed}.")
    return facts


def read_facts_of(head: bytes) -> NiftiFacts:
    """Read the header in `head`, the first HEADER_BYTES bytes of a file.

    Raises the same errors as `open_nifti`, but does not detect missing voxels.
    """
    if not head:
        raise ZeroSized("The file is empty.")
    return _facts(read_header(head))


def walk_volume(chunks: Iterator[bytes], facts: NiftiFacts, number: int) -> Iterator[Plane]:
    """Yield the scaled values of volume `number` for statistics.

    The values are in the order of the file, and the yielded planes do not have the shape of slices. `chunks` is the
    content of the decompressed file. Raises Truncated if it ends before the last voxel of the volume.
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
        raise UnsupportedImage(f"Voxels of the NIfTI datatype {header.datatype} are not supported.")
    if max(header.shape) > LONGEST_SIDE:
        raise TooManyPixels(f"dim has a side of {max(header.shape)} voxels; at most {LONGEST_SIDE} are accepted.")
    rgb = header.datatype == _RGB24
    # according to the standard, colours are not scaled
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
    """Return the lengths of the three sides of a voxel."""
    x, y, z = (math.hypot(*(row[axis] for row in affine)) for axis in range(3))
    return x, y, z


def _forms(header: NiftiHeader) -> Forms:
    found: dict[str, Any] = {}
    for name, form in (("sform", header.sform), ("qform", header.qform)):
        if form is not None:
            found |= {name: _in_millimetres(form[0], header.unit), f"{name}_code": form[1]}
    return Forms(**found)


def _findings(header: NiftiHeader, forms: Forms) -> dict[str, Any]:
    """Return the irregularities of the affines, by code.

    The value of `forms_differ` is the greatest distance, in millimetres, between the positions of a corner according to
    sform and qform.
    """
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
    """Return the type of the values after scaling.

    Values that are not scaled keep their type, except for signed bytes. Signed bytes and scaled integers have the
    smallest type in `_WHOLE` that fits all possible results, if slope and shift are whole numbers. In all other cases,
    the type is float64.
    """
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
    """Return the grid of the volume. Its frames are all slices along the voxel axis `axis`, in stored order."""
    return Grid(
        shape=facts.shape,
        affine=facts.affine,
        axis=axis,
        places=tuple(range(facts.shape[axis])),
        turn=turn_of(facts.affine, axis),
        forms=facts.forms,
    )


def picture_spacing(facts: NiftiFacts, axis: int, turn: Orientation) -> tuple[float, float]:
    """Return the distances between rows and between columns in the image of a slice, in millimetres.

    If the slice is sheared, the distance between rows is perpendicular to them, so the product is the area of a pixel.
    """
    first, second = ([row[other] for row in facts.affine] for other in range(3) if other != axis)
    down, across = (second, first) if turn.transpose else (first, second)
    height, width = math.hypot(*down), math.hypot(*across)
    aside = sum(a * b for a, b in zip(down, across, strict=True)) / width
    return math.sqrt(height**2 - aside**2) if abs(aside) > _SKEWED * height else height, width


def chosen_volume(facts: NiftiFacts, asked: int | None) -> int:
    """Return the number of the requested volume, counted from 0, or 0 if there is only one and none is requested.

    Raises VolumeNeeded if there are several volumes and none is requested, or if the requested volume does not exist.
    """
    if asked is None and facts.volumes == 1:
        return 0
    if asked is None or not 0 <= asked < facts.volumes:
        detail = f"The file has {facts.volumes} volumes. Set `volume` to a number from 0 to {facts.volumes - 1}."
        raise VolumeNeeded(detail)
    return asked


def read_slice(
    path: Path, facts: NiftiFacts, axis: int, index: int, volume: int | None, turn: Orientation, *, max_pixels: int
) -> Plane:
    """Read slice `index` along the voxel axis `axis`, scaled and oriented for display. No other slice is loaded.

    Raises VolumeNeeded, FrameOutOfRange or TooManyPixels, and Truncated if the file is shorter than when it was opened.
    """
    number = chosen_volume(facts, volume)
    if not 0 <= index < facts.shape[axis]:
        raise FrameOutOfRange(f"The volume has {facts.shape[axis]} slices. There is no slice with the number {index}.")
    height, width = (side for other, side in enumerate(facts.shape) if other != axis)
    check_size((height, width) if turn.transpose else (width, height), max_pixels)
    voxels = _mapped(path, facts, number)
    picture = turned(voxels[(slice(None),) * axis + (index,)], turn)
    return Plane(_scaled(picture, facts), facts.bits)


def slice_footprint(facts: NiftiFacts, axis: int) -> int:
    """Return the peak memory, in bytes, of reading a slice along `axis` and converting it to the canvas."""
    height, width = (side for other, side in enumerate(facts.shape) if other != axis)
    return nifti_footprint(width, height, facts.stored.itemsize * (3 if facts.rgb else 1))


def _mapped(path: Path, facts: NiftiFacts, number: int) -> npt.NDArray[Any]:
    """Return one memory-mapped volume, with the axes x, y, z and possibly colour. Nothing is read yet."""
    shape = (3, *facts.shape) if facts.rgb else facts.shape
    start = facts.start + number * facts.volume_bytes
    try:
        voxels = np.memmap(path, facts.stored, "r", start, shape, "F")
    except ValueError:
        raise Truncated from None
    return np.moveaxis(voxels, 0, -1) if facts.rgb else voxels


def _scaled(stored: npt.NDArray[Any], facts: NiftiFacts) -> npt.NDArray[Any]:
    """Return the scaled values as a new array in native byte order."""
    if (facts.slope, facts.shift) == (1, 0):
        return np.array(stored, facts.values, order="C")
    if facts.values.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # infinities and NaN are handled by windowing
            return np.array(stored, np.float64, order="C") * facts.slope + facts.shift
    return (np.array(stored, np.int64, order="C") * int(facts.slope) + int(facts.shift)).astype(facts.values)
