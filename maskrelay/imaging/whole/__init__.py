"""Per-item artifacts: NIfTI label volumes, DICOM SEG, contact sheets and GeoJSON outlines.

Every writer requests the mask of one frame at a time and writes to a file as it goes, so that its memory does not grow
with the number of frames.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

#: Returns a mask: (frame's place in its item, prompt's number from 0) → (height, width) bool, oriented as displayed.
MaskOf = Callable[[int, int], npt.NDArray[np.bool_]]
