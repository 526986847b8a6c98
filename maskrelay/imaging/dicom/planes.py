"""A DICOM object's frames as planes, one at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrelay.imaging.dicom.colour import palette_to_rgb, to_rgb
from maskrelay.imaging.dicom.damage import named_damage
from maskrelay.imaging.dicom.groups import Groups, read_groups
from maskrelay.imaging.dicom.header import Header, PixelElement, read_header
from maskrelay.imaging.dicom.layout import Layout, check_frame, read_layout
from maskrelay.imaging.dicom.modality import apply_modality, read_modality
from maskrelay.imaging.dicom.padding import read_padding
from maskrelay.imaging.dicom.stored import read_stored
from maskrelay.imaging.dicom.stream import Source
from maskrelay.imaging.plane import Plane


@dataclass(frozen=True, eq=False)
class DicomPlanes:
    """An object whose header was read, and whose frames are decoded one by one; threads may share it."""

    header: Header
    layout: Layout
    pixels: PixelElement
    groups: Groups
    max_pixels: int

    def plane(self, index: int) -> Plane:
        """Frame `index`, counted from 0; the others are neither read nor decoded.

        Gray: modality units, VOI not applied; integers as stored where nothing has to be applied, integers where the
        rescale is whole, else float64. One-bit samples become 0 and 255. Colours and palettes: (height, width, 3)
        uint8, scaled from the bits stored. Overlays are not drawn. Raises ItemErrors alone.
        """
        with named_damage():
            check_frame(self.layout, index, self.max_pixels)
            stored, photometric = read_stored(self.header, self.layout, self.pixels, index)
            return self._coloured(stored, photometric) or self._gray(stored, index)

    def _coloured(self, stored: npt.NDArray[Any], photometric: str) -> Plane | None:
        layout, dataset = self.layout, self.header.dataset
        if layout.samples == 3:
            partial = layout.photometric.startswith("YBR_PARTIAL")
            return Plane(to_rgb(stored, layout.photometric if partial else photometric, layout.stored), 8)
        if layout.photometric == "PALETTE COLOR":
            return Plane(palette_to_rgb(stored, dataset, layout, little=self.header.little_endian), 8)
        return None

    def _gray(self, stored: npt.NDArray[Any], index: int) -> Plane:
        layout, dataset = self.layout, self.header.dataset
        inverted = layout.photometric == "MONOCHROME1"
        if layout.stored == 1:
            return Plane((stored != 0).astype(np.uint8) * np.uint8(255), 1, inverted)
        little = self.header.little_endian
        modality = read_modality(dataset, self.groups, layout, index, little=little)
        values = apply_modality(stored, modality, layout)
        bits = layout.stored if values is stored or layout.stored > 8 else 8 * values.itemsize
        return Plane(values, bits, inverted, read_padding(stored, dataset, layout))


def open_planes(source: Source, *, max_pixels: int) -> DicomPlanes:
    """Read the header of `source` (bytes, or the path of a file that stays) for its frames to follow.

    Raises ItemErrors alone: those of `header.read_header`, `layout.read_layout` and `layout.check_frame`.
    """
    with named_damage():
        header = read_header(source)
        layout, pixels = read_layout(header)
        check_frame(layout, 0, max_pixels)
        return DicomPlanes(header, layout, pixels, read_groups(header.dataset, layout.frames), max_pixels)
