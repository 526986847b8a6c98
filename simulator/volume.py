"""The substitute for MedImageParse 3D: it takes a NIfTI volume and returns a label map of the same shape and affine."""

import base64
import binascii
import gzip
import hashlib
import json
import zlib

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from scipy import ndimage

from simulator.model import Rows, Scored, prompts_of
from simulator.rows import ScriptError

GZIP = b"\x1f\x8b"
# The darker part of a volume is air and background. Objects are searched above this quantile.
BACKGROUND = 0.6


def score_volume(rows: Rows) -> Scored:
    """Return the response to one (image, text) row. The image is the base64 of a .nii or .nii.gz
    file of three dimensions.

    Raises ScriptError for anything else. Whether the real model accepts more than one volume in a request is not
    known; here, it fails.
    """
    if len(rows) > 1:
        raise ScriptError
    scored = Scored(count=len(rows))
    for image, text in rows:
        file = _decode(image)
        volume = _read(file)
        prompts = prompts_of(text)
        labels = label(np.nan_to_num(volume.get_fdata(dtype=np.float32)), len(prompts))
        answer = nibabel.Nifti1Image(labels, volume.affine)  # type: ignore[no-untyped-call]
        written = gzip.compress(answer.to_bytes(), 1)
        scored.images.append(hashlib.sha256(file).hexdigest())
        dtype = volume.get_data_dtype()  # type: ignore[no-untyped-call]
        scored.kinds.append(f"{dtype} {'x'.join(map(str, volume.shape))}")
        scored.prompts.extend(prompts)
        scored.answers.append({"nifti_file": json.dumps({"data": base64.b64encode(written).decode("ascii")})})
    return scored


def label(voxels: npt.NDArray[np.float32], prompts: int) -> npt.NDArray[np.uint8]:
    """Return an integer for each voxel: 0, or the number of its prompt, counted from 1.

    The method is simple. The brighter voxels of the smoothed volume are divided into as many bands as there are
    prompts, and the first band is the brightest. A volume of uniform brightness has no objects.
    """
    smooth = ndimage.gaussian_filter(voxels, sigma=1.0)
    limits = np.quantile(smooth, np.linspace(1.0, BACKGROUND, prompts + 1))
    labels = np.zeros(voxels.shape, np.uint8)
    for number in range(prompts, 0, -1):
        labels[smooth > limits[number]] = number
    return labels


def _decode(image: str) -> bytes:
    try:
        file = base64.b64decode(image)
        return gzip.decompress(file) if file.startswith(GZIP) else file
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error):
        raise ScriptError from None


def _read(file: bytes) -> nibabel.Nifti1Image:
    try:
        volume = nibabel.Nifti1Image.from_bytes(file)
        volume.get_fdata(dtype=np.float32)
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError, OSError, EOFError, TypeError):
        raise ScriptError from None
    if len(volume.shape) != 3 or 0 in volume.shape:
        raise ScriptError
    return volume
