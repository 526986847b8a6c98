"""The images of the demo: a CT series, a volume that nibabel bundles, and photographs that scikit-image bundles."""

import io

import numpy as np
from PIL import Image

from bench.sources import photograph, varied
from tests.support.builders.phantoms import ball, oblique, series, union, voxels
from tests.support.builders.volumes import BUNDLED

EYES = 3
_SLICES = 12


def cohort() -> dict[str, bytes]:
    """Return the files by their keys. The UIDs of the series are new at each call."""
    slices = {f"ct/slice-{number:02}.dcm": body for number, body in enumerate(_series())}
    eyes = {f"eyes/retina-{number}.jpg": eye(number) for number in range(EYES)}
    return {**slices, **eyes, "mr/anatomical.nii": (BUNDLED / "anatomical.nii").read_bytes()}


def eye(number: int) -> bytes:
    """Return a photograph of a retina. Those with other numbers have other pixels."""
    written = io.BytesIO()
    Image.fromarray(varied(photograph("retina.jpg"), number)).resize((480, 480)).save(written, "JPEG", quality=92)
    return written.getvalue()


def _series() -> list[bytes]:
    raster = oblique((96, 80, _SLICES), (2.0, 2.0, 5.0))
    shapes = union(ball((-20, 0, 0), 24), ball((35, 20, 5), 12))
    return series(raster, voxels(raster, shapes), np.arange(_SLICES))
