"""NIfTI volumes for tests, and the images that nibabel includes."""

import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from maskrelay.imaging.read.gunzip import inflate

BUNDLED = Path(nibabel.__file__).parent / "tests" / "data"

#: The axis of the patient for each letter, and whether it has the direction of RAS+.
_LETTERS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def unpacked(source: Path, folder: Path) -> Path:
    """Return a copy of `source` in `folder`, decompressed if it is a .gz."""
    if source.suffix != ".gz":
        return Path(shutil.copy(source, folder / source.name))
    target = folder / source.stem
    with target.open("wb") as out:
        inflate([source.read_bytes()], out, most_bytes=1 << 30)
    return target


def affine_of(codes: str, sides: tuple[float, float, float] = (0.7, 1.1, 2.3), turn: Any = None) -> np.ndarray:
    """Return voxel axes along `codes` (such as "LPS") with these sides in millimetres, and with a rotation `turn`."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, letter in enumerate(codes):
        patient, sign = _LETTERS[letter]
        affine[patient, axis] = sign * sides[axis]
    affine[:3, 3] = (-30, 20, 55)
    if turn is not None:
        affine[:3] = turn @ affine[:3]
    return affine


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Return the rotation about x, then y, then z, in degrees."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians([x, y, z])):
        one = np.eye(3)
        first, second = (other for other in range(3) if other != axis)
        one[first, first] = one[second, second] = np.cos(angle)
        one[first, second], one[second, first] = -np.sin(angle), np.sin(angle)
        result = one @ result
    return result


def written(folder: Path, voxels: Any, affine: Any = None, kind: Any = nibabel.Nifti1Image, **header: Any) -> Path:
    """Return a .nii as nibabel writes it, with fields of `header` set in the file.

    Without an affine, it has only sides.
    """
    return patched(folder, kind(voxels, affine, dtype=voxels.dtype), **header)


def patched(folder: Path, image: Any, **header: Any) -> Path:
    """Return the file of `image`, in which fields of the header are set as they are given, right or wrong."""
    file, kind = image.to_bytes(), image.header_class
    fields = kind(file[: kind.sizeof_hdr], check=False)
    for name, value in header.items():
        fields[name] = value
    path = folder / "volume.nii"
    path.write_bytes(fields.binaryblock + file[kind.sizeof_hdr :])
    return path
