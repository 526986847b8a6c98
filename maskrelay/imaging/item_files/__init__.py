"""The files of a whole item: label volumes, DICOM SEG, contact sheets, outlines.

Every writer asks for one frame's mask at a time and writes into a file as it goes, so that its memory does not grow
with the number of frames. Read `seg` first.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

#: Returns a mask: (frame's place in its item, prompt's number from 0) → (height, width) bool, oriented as displayed.
MaskOf = Callable[[int, int], npt.NDArray[np.bool_]]
