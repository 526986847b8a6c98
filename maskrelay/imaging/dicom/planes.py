"""Reading of the frames of a DICOM object as planes, one frame at a time."""

from dataclasses import dataclass, replace

import numpy as np

from maskrelay.imaging.dicom.colour import palette_to_rgb, to_rgb
from maskrelay.imaging.dicom.damage import named_damage
from maskrelay.imaging.dicom.fragments import FragmentedFrames, find_frames
from maskrelay.imaging.dicom.functional_groups import FunctionalGroups, read_groups
from maskrelay.imaging.dicom.header import Header, PixelElement, read_header
from maskrelay.imaging.dicom.modality import apply_modality, read_modality
from maskrelay.imaging.dicom.padding import read_padding
from maskrelay.imaging.dicom.sample_layout import SampleLayout, check_frame, read_layout
from maskrelay.imaging.dicom.stored_frame import StoredFrame, read_stored
from maskrelay.imaging.dicom.stream import Source, opened
from maskrelay.imaging.dicom.tags import text
from maskrelay.imaging.plane import Plane
from maskrelay.imaging.read.footprint import dicom_footprint


@dataclass(frozen=True, eq=False)
class DicomPlanes:
    """A DICOM object whose header was read. Its frames are decoded one at a time. Any thread may use it."""

    header: Header
    layout: SampleLayout
    pixels: PixelElement
    groups: FunctionalGroups
    frames: FragmentedFrames | None
    max_pixels: int

    @property
    def footprint(self) -> int:
        """The peak memory, in bytes, that is needed to decode one frame and to convert it to the canvas."""
        layout, source = self.layout, self.header.source
        compressed = layout.transfer_syntax.is_encapsulated
        inflated = len(source) if isinstance(source, bytes) else 0
        codestream = min(self.pixels.available, inflated) if compressed else 0
        samples = max(1, layout.allocated // 8), layout.samples
        reckoned = dicom_footprint(layout.columns, layout.rows, *samples, compressed=compressed)
        return reckoned + 2 * codestream

    def plane(self, index: int) -> Plane:
        """Return frame `index`, counted from 0. No other frame is decoded.

        A gray frame has the shape (height, width) and its values are in modality units. No VOI transformation is
        applied. The dtype is that of `modality.apply_modality`. One-bit samples become 0 and 255, as uint8.

        A colour frame, also one with a palette, has the shape (height, width, 3) and the dtype uint8. Its values are
        scaled from the stored number of bits to 8 bits. Overlays are not drawn. Raises only subclasses of ItemError.
        """
        with named_damage():
            check_frame(self.layout, index, self.max_pixels)
            stored = read_stored(self.header, self.layout, self.pixels, self.frames, index)
            return self._coloured(stored) or self._gray(stored, index)

    def _coloured(self, stored: StoredFrame) -> Plane | None:
        layout, dataset = self.layout, self.header.dataset
        if layout.samples == 3:
            partial = layout.photometric.startswith("YBR_PARTIAL") and stored.photometric != "RGB"
            photometric = layout.photometric if partial else stored.photometric
            return Plane(to_rgb(stored.values, photometric, stored.bits), 8)
        if layout.photometric == "PALETTE COLOR":
            return Plane(palette_to_rgb(stored.values, dataset, layout, little=self.header.little_endian), 8)
        return None

    def _gray(self, stored: StoredFrame, index: int) -> Plane:
        layout, dataset = replace(self.layout, stored=stored.bits), self.header.dataset
        inverted = layout.photometric == "MONOCHROME1" or text(dataset, "PresentationLUTShape") == "INVERSE"
        if layout.stored == 1:
            return Plane((stored.values != 0).astype(np.uint8) * np.uint8(255), 1, inverted)
        little = self.header.little_endian
        modality = read_modality(dataset, self.groups, layout, index, little=little)
        values = apply_modality(stored.values, modality, layout)
        bits = layout.stored if values is stored.values or layout.stored > 8 else 8 * values.itemsize
        padding = read_padding(stored.values, dataset, self.layout)
        return Plane(values, bits, inverted, padding, white=min(255, (1 << bits) - 1))


def open_planes(source: Source, *, max_pixels: int) -> DicomPlanes:
    """Read the header of `source`: bytes, or the path of a file that does not change.

    Raises only subclasses of ItemError: those of `header.read_header`, of `sample_layout.read_layout` and
    `sample_layout.check_frame`, of `functional_groups.read_groups`, and of `read_frames`.
    """
    with named_damage():
        header = read_header(source)
        layout, pixels = read_layout(header)
        check_frame(layout, 0, max_pixels)
        groups = read_groups(header.dataset, layout.frames)
        return DicomPlanes(header, layout, pixels, groups, read_frames(header, layout, pixels), max_pixels)


def read_frames(header: Header, layout: SampleLayout, pixels: PixelElement) -> FragmentedFrames | None:
    """Return the frames of an encapsulated object, or None for an object that is not encapsulated.

    Raises TagInvalid or Truncated if the fragments of the frames cannot be located.
    """
    if not layout.transfer_syntax.is_encapsulated:
        return None
    with opened(header.source) as stream:
        return find_frames(stream, header, layout, pixels)
