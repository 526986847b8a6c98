"""The parser of the header of a NIfTI file, which contains the shape, the voxel type and the position in space.

Files with two to four dimensions are supported. Pairs of .hdr and .img files are not. Source: the NIfTI-1.1 and NIfTI-2
standards (nifti1.h, nifti2.h).
"""

import math
import struct
from dataclasses import dataclass
from typing import NamedTuple

from maskrelay.errors import NotAnImage, TagInvalid, Truncated, UnsupportedImage, ZeroSized

#: The size in bytes of the header of NIfTI-2, which is longer than that of NIfTI-1.
HEADER_BYTES = 540
#: The bytes per voxel of the integer types, by the code of the type.
INTEGERS = {2: 1, 256: 1, 4: 2, 512: 2, 8: 4, 768: 4, 1024: 8, 1280: 8}
#: The bytes per voxel of all other types.
_OTHERS = {16: 4, 32: 8, 64: 8, 128: 3, 1536: 16, 1792: 16, 2048: 32, 2304: 4}

#: The map from voxel indices to positions. It has a row for each of x, y and z, with three factors and an offset.
Affine = tuple[tuple[float, float, float, float], ...]


class _Layout(NamedTuple):
    """The layout of the header of one NIfTI version.

    `size` is the size of the header. A number in another field is an offset in the header. A text is a format for
    `struct` without the byte order. `magic` contains the magic number of a .nii file, and `pair` is the magic number of
    a .hdr file.
    """

    size: int
    magic: tuple[int, bytes]
    dim: tuple[int, str]
    datatype: int
    pixdim: tuple[int, str]
    vox_offset: tuple[int, str]
    slope: tuple[int, str]
    codes: tuple[int, str]
    quatern: tuple[int, str]
    srow: tuple[int, str]
    units: tuple[int, str]
    pair: bytes


_VERSION_1 = _Layout(
    size=348,
    magic=(344, b"n+1\0"),
    dim=(40, "8h"),
    datatype=70,
    pixdim=(76, "8f"),
    vox_offset=(108, "f"),
    slope=(112, "2f"),
    codes=(252, "2h"),
    quatern=(256, "6f"),
    srow=(280, "12f"),
    units=(123, "B"),
    pair=b"ni1\0",
)
_VERSION_2 = _Layout(
    size=540,
    magic=(4, b"n+2\0\r\n\x1a\n"),
    dim=(16, "8q"),
    datatype=12,
    pixdim=(104, "8d"),
    vox_offset=(168, "q"),
    slope=(176, "2d"),
    codes=(344, "2i"),
    quatern=(352, "6d"),
    srow=(400, "12d"),
    units=(500, "i"),
    pair=b"ni2\0",
)


#: The least volume of a voxel, as a fraction of the volume of a rectangular box with the same sides. If the volume is
#: less, the three sides are considered to lie in one plane.
_FLAT = 1e-4
#: The greatest squared length of a unit quaternion, with a margin for rounding errors.
_LONGEST_QUATERNION = 1.0001
#: The number of millimetres in a metre, a millimetre and a micrometre, by the code of the unit. The lowest three bits
#: of the field xyzt_units are the code.
_MILLIMETRES = {1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """The values of a header."""

    #: The sizes of the two to four dimensions of the file, in the order x, y, z and volume. In the file, x varies
    #: fastest.
    dims: tuple[int, ...]
    #: The code of the voxel type.
    datatype: int
    #: The byte order, as `struct` denotes it: `<` or `>`.
    order: str
    #: The offset of the voxels in the file.
    start: int
    #: The affines that the header declares and that can be used: first sform, then qform. If there is none, this
    #: contains one affine that is computed from the voxel sizes. Affines are in the file's unit of length.
    affines: tuple[Affine, ...]
    #: The sides of a voxel, in the file's unit of length.
    sides: tuple[float, float, float]
    #: The millimetres per unit of length.
    unit: float
    #: The value of a voxel is its stored value times `slope` plus `shift`.
    slope: float
    shift: float
    #: The affine sform with its code. None if it is not declared or not usable.
    sform: tuple[Affine, int] | None = None
    #: The affine qform with its code. None if it is not declared or not usable.
    qform: tuple[Affine, int] | None = None
    #: The names among `sform`, `qform` and `pixdim` that are declared but not usable.
    unusable: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The numbers of voxels along x, y and z. A file with two dimensions has one slice."""
        return self.dims[0], self.dims[1], self.dims[2] if len(self.dims) > 2 else 1

    @property
    def volumes(self) -> int:
        return self.dims[3] if len(self.dims) > 3 else 1

    @property
    def itemsize(self) -> int:
        return INTEGERS.get(self.datatype) or _OTHERS[self.datatype]

    @property
    def voxels(self) -> int:
        """The number of voxels in one volume."""
        return math.prod(self.shape)

    @property
    def scaled(self) -> bool:
        """Whether stored values have to be multiplied or shifted."""
        return (self.slope, self.shift) != (1, 0)


def read_header(head: bytes) -> NiftiHeader:
    """Parse the header in `head`, which contains the first HEADER_BYTES bytes of a decompressed file.

    Raises NotAnImage if the file is not recognised as NIfTI. Raises UnsupportedImage if the file contains only a header
    without voxels, or if a fifth or later dimension has a size other than 1. Raises ZeroSized if the size of a
    dimension is 0. Raises Truncated if the header is incomplete. Raises TagInvalid if a field has an invalid value. The
    detail of TagInvalid names the field.
    """
    layout, order = _version(head)

    def field(where: tuple[int, str]) -> tuple[float, ...]:
        return struct.unpack_from(order + where[1], head, where[0])

    dims = _dims(field(layout.dim))
    pixdim = field(layout.pixdim)
    [datatype] = struct.unpack_from(order + "h", head, layout.datatype)
    if datatype not in INTEGERS and datatype not in _OTHERS:
        raise TagInvalid("datatype is not a type that NIfTI defines.")
    [start] = field(layout.vox_offset)
    if not (math.isfinite(start) and start == int(start) >= layout.size + 4):
        raise TagInvalid("vox_offset is not after the header.")
    slope, shift = _scaling(field(layout.slope))
    [units] = field(layout.units)
    forms = _forms(field(layout.codes), field(layout.srow), field(layout.quatern), pixdim, dims)
    return NiftiHeader(
        dims=dims,
        datatype=datatype,
        order=order,
        start=int(start),
        affines=tuple(form[0] for form in (forms.sform, forms.qform) if form) or (_of_sides(forms.sides),),
        sides=forms.sides,
        sform=forms.sform,
        qform=forms.qform,
        unusable=forms.unusable,
        unit=_MILLIMETRES.get(int(units) & 7, 1.0),
        slope=slope,
        shift=shift,
    )


def _version(head: bytes) -> tuple[_Layout, str]:
    for layout in (_VERSION_1, _VERSION_2):
        at, single = layout.magic
        magic = head[at : at + len(single)]
        for order in "<>":
            if head[:4] != struct.pack(order + "i", layout.size):
                continue
            if magic[:4] == layout.pair:
                raise UnsupportedImage(
                    "A NIfTI header without its voxels (.hdr and .img) is not supported. Send a .nii file instead."
                )
            if len(head) < layout.size:
                raise Truncated("The header is incomplete.")
            if magic == single:
                return layout, order
    raise NotAnImage("This is not a NIfTI file.")


def _dims(dim: tuple[float, ...]) -> tuple[int, ...]:
    """Return the sizes of the dimensions, at most four. The size of every further dimension must be 1."""
    count, *sides = (int(side) for side in dim)
    if not 2 <= count <= 7 or min(sides[:count]) < 0:
        raise TagInvalid("dim does not describe an image or a volume.")
    if 0 in sides[:count]:
        raise ZeroSized("dim has a dimension of size 0.")
    if any(side != 1 for side in sides[4:count]):
        raise UnsupportedImage("dim has five dimensions or more; at most four are supported.")
    return tuple(sides[: min(count, 4)])


class _Forms(NamedTuple):
    sform: tuple[Affine, int] | None
    qform: tuple[Affine, int] | None
    sides: tuple[float, float, float]
    unusable: tuple[str, ...]


def _forms(
    codes: tuple[float, ...],
    srow: tuple[float, ...],
    quatern: tuple[float, ...],
    pixdim: tuple[float, ...],
    dims: tuple[int, ...],
) -> _Forms:
    """Return the usable affines, the sides of a voxel, and the names of what is declared but not usable.

    If neither affine is usable, the sides must be usable and no affine may be declared. Otherwise, raises TagInvalid.
    """
    qform_code, sform_code = (int(code) for code in codes)
    sides, unusable = _sides(pixdim, dims), []
    rows: Affine = tuple((srow[row], srow[row + 1], srow[row + 2], srow[row + 3]) for row in (0, 4, 8))
    sform = (rows, sform_code) if sform_code > 0 and not _fault(rows) else None
    if sform_code > 0 and sform is None:
        unusable.append("sform")
    qform = None
    if qform_code > 0:
        found = _of_quaternion(quatern, sides, pixdim[0]) if sides else None
        qform = (found, qform_code) if found and not _fault(found) else None
        if qform is None:
            unusable.append("qform")
    if sides is None:
        unusable.append("pixdim")
    if sform is None and qform is None:
        if sides is None:
            raise TagInvalid("pixdim has a voxel side that is not greater than 0.")
        if unusable:
            raise TagInvalid(f"sform or qform {_fault(rows) if sform_code > 0 else 'does not describe a rotation'}.")
    return _Forms(sform, qform, sides or _lengths(rows), tuple(unusable))


def _sides(pixdim: tuple[float, ...], dims: tuple[int, ...]) -> tuple[float, float, float] | None:
    """Return the sides of a voxel, or None if they are not usable.

    If a dimension has only one voxel, an unusable side along it is replaced by 1. Such files are common. The side does
    not change the position of any voxel, because the index along this dimension is always 0.
    """
    sides = [*pixdim[1:4]]
    for place, side in enumerate(sides):
        if math.isfinite(side) and side > 0:
            continue
        if place < len(dims) and dims[place] > 1:
            return None
        sides[place] = 1.0
    return sides[0], sides[1], sides[2]


def _of_sides(sides: tuple[float, float, float]) -> Affine:
    x, y, z = sides
    return (x, 0.0, 0.0, 0.0), (0.0, y, 0.0, 0.0), (0.0, 0.0, z, 0.0)


def _lengths(affine: Affine) -> tuple[float, float, float]:
    x, y, z = (math.hypot(*(row[axis] for row in affine)) for axis in range(3))
    return x, y, z


def _fault(affine: Affine) -> str:
    """Return why the affine cannot be used. Return an empty string if it can."""
    if not all(math.isfinite(number) for row in affine for number in row):
        return "contains a number that is not finite"
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = affine
    volume = abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    if not _FLAT * math.prod(_lengths(affine)) < volume < math.inf:
        return "places the voxels of a volume in one plane"
    return ""


def _scaling(fields: tuple[float, ...]) -> tuple[float, float]:
    """Return the slope and the shift of the values. A slope that is 0 or not finite means that there is no scaling."""
    slope, shift = fields
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(shift):
        raise TagInvalid("scl_inter is not finite.")
    return slope, shift


def _of_quaternion(quatern: tuple[float, ...], sides: tuple[float, float, float], handed: float) -> Affine | None:
    """Compute the affine from a unit quaternion, the voxel sizes and the direction of z (method 2 of the standard).

    `quatern` contains the quaternion without its first component, followed by the offset. The direction of z is
    reversed if `handed` is negative. Return None if the three components are too large for a unit quaternion.
    """
    b, c, d, *offset = quatern
    if not b * b + c * c + d * d <= _LONGEST_QUATERNION:
        return None
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = (
        (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
        (2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)),
        (2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c),
    )
    x, y, z = sides[0], sides[1], sides[2] * (-1 if handed < 0 else 1)
    return tuple((row[0] * x, row[1] * y, row[2] * z, shift) for row, shift in zip(rotation, offset, strict=True))
