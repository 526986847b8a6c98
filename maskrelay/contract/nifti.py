"""The header of a NIfTI file: shape, type of its voxels and where they lie in space. Bytes only; no arrays here.

Source: the NIfTI-1.1 and NIfTI-2 standards (nifti1.h, nifti2.h), single files of three dimensions.
"""

import math
import struct
from dataclasses import dataclass
from typing import NamedTuple

#: Bytes that hold the longer of the two headers, NIfTI-2's.
HEADER_BYTES = 540
#: Integer types by their code: bytes a voxel.
INTEGERS = {2: 1, 256: 1, 4: 2, 512: 2, 8: 4, 768: 4, 1024: 8, 1280: 8}
_OTHERS = {16: 4, 32: 8, 64: 8, 128: 3, 1536: 16, 1792: 16, 2048: 32, 2304: 4}

#: Rows x, y, z of voxel indices to millimetres: three factors and an offset each.
Affine = tuple[tuple[float, float, float, float], ...]


class _Layout(NamedTuple):
    """Where the fields of one of the two versions lie; the formats are struct's, without the byte order."""

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
)


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What a header says.

    shape: (x, y, z), x fastest in the file. datatype: NIfTI's code. order: struct's `<` or `>`. start: where the
    voxels begin. affines: every one declared (sform, then qform), or the one of the voxel sizes alone. sides: of a
    voxel, in millimetres. scaled: whether values are to be multiplied or shifted.
    """

    shape: tuple[int, int, int]
    datatype: int
    order: str
    start: int
    affines: tuple[Affine, ...]
    sides: tuple[float, float, float]
    scaled: bool

    @property
    def itemsize(self) -> int:
        return INTEGERS.get(self.datatype) or _OTHERS[self.datatype]

    @property
    def voxels(self) -> int:
        return math.prod(self.shape)


def read_header(head: bytes) -> NiftiHeader:
    """Read the first HEADER_BYTES of a decompressed file. Raises ValueError whose message names the part."""
    layout, order = _version(head)

    def field(where: tuple[int, str]) -> tuple[float, ...]:
        return struct.unpack_from(order + where[1], head, where[0])

    pixdim = field(layout.pixdim)
    sides = _sides(pixdim)
    [datatype] = struct.unpack_from(order + "h", head, layout.datatype)
    if datatype not in INTEGERS and datatype not in _OTHERS:
        raise ValueError("datatype is not one of NIfTI's")
    [start] = field(layout.vox_offset)
    if not (math.isfinite(start) and start == int(start) >= layout.size + 4):
        raise ValueError("vox_offset is not behind the header")
    slope, shift = field(layout.slope)
    return NiftiHeader(
        shape=_shape(field(layout.dim)),
        datatype=datatype,
        order=order,
        start=int(start),
        affines=_affines(field(layout.codes), field(layout.srow), field(layout.quatern), sides, pixdim[0]),
        sides=sides,
        # a slope of 0, or none, means unscaled
        scaled=math.isfinite(slope) and slope != 0 and (slope, shift) != (1, 0),
    )


def _version(head: bytes) -> tuple[_Layout, str]:
    for layout in (_VERSION_1, _VERSION_2):
        for order in "<>":
            at, magic = layout.magic
            if head[:4] == struct.pack(order + "i", layout.size) and head[at : at + len(magic)] == magic:
                if len(head) < layout.size:
                    raise ValueError("the header is cut short")
                return layout, order
    raise ValueError("this is not a NIfTI file")


def _shape(dim: tuple[float, ...]) -> tuple[int, int, int]:
    sides = [int(side) for side in dim[1:]]
    count = int(dim[0])
    if not 3 <= count <= 7 or any(side != 1 for side in sides[3:count]) or min(sides[:3]) < 1:
        raise ValueError("dim is not that of one volume of three dimensions")
    return sides[0], sides[1], sides[2]


def _sides(pixdim: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = pixdim[1:4]
    if not all(math.isfinite(side) and side > 0 for side in (x, y, z)):
        raise ValueError("pixdim has a side that is not above 0")
    return x, y, z


def _affines(
    codes: tuple[float, ...],
    srow: tuple[float, ...],
    quatern: tuple[float, ...],
    sides: tuple[float, float, float],
    handed: float,
) -> tuple[Affine, ...]:
    """Every affine that is declared: the codes say which of qform and sform are."""
    qform, sform = codes
    found: list[Affine] = []
    if sform > 0:
        found.append(tuple((srow[row], srow[row + 1], srow[row + 2], srow[row + 3]) for row in (0, 4, 8)))
    if qform > 0:
        found.append(_of_quaternion(quatern, sides, handed))
    x, y, z = sides
    affines = tuple(found) or (((x, 0.0, 0.0, 0.0), (0.0, y, 0.0, 0.0), (0.0, 0.0, z, 0.0)),)
    if not all(math.isfinite(number) for affine in affines for row in affine for number in row):
        raise ValueError("the affine has a number that is not finite")
    return affines


def _of_quaternion(quatern: tuple[float, ...], sides: tuple[float, float, float], handed: float) -> Affine:
    """Method 2 of the standard: a unit quaternion (its first part left out), voxel sizes, and a flip of z."""
    b, c, d, *offset = quatern
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    rotation = (
        (a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)),
        (2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)),
        (2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c),
    )
    x, y, z = sides[0], sides[1], sides[2] * (-1 if handed < 0 else 1)
    return tuple((row[0] * x, row[1] * y, row[2] * z, shift) for row, shift in zip(rotation, offset, strict=True))
