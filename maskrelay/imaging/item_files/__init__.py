"""The files of a whole item: label volumes, DICOM SEG, contact sheets and outlines.

Every function gets the masks or the thumbnail of one frame at a time, and writes to the file as it proceeds. So its
memory does not grow with the number of frames. Read `seg` first.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

#: A function that returns a mask as a (height, width) bool array in the orientation for display. Its arguments are the
#: number of the frame within the item and the number of the prompt, both counted from 0.
MaskOf = Callable[[int, int], npt.NDArray[np.bool_]]
