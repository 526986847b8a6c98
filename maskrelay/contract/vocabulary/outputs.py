"""The names of the artifacts that a caller may request, and the defaults."""

from collections.abc import Sequence
from typing import Literal

from maskrelay.contract.formats.sniff import Kind

Output = Literal["mask", "overlay", "probability", "nifti", "nifti-per-prompt", "seg", "contact-sheet", "geojson"]
#: Outputs of a frame, made while its pixels are in memory.
OF_FRAME: frozenset[Output] = frozenset({"mask", "overlay", "probability"})
#: Outputs of a whole item, made once all its frames are done.
OF_ITEM: frozenset[Output] = frozenset({"nifti", "nifti-per-prompt", "seg", "contact-sheet", "geojson"})

_VOLUMES: tuple[Output, ...] = ("nifti", "nifti-per-prompt")


def outputs_of(
    asked: Sequence[Output], kind: Kind, frames: int, *, volume: bool, placed: bool = True
) -> tuple[Output, ...]:
    """Return the outputs of an item of this kind and number of frames.

    volume: its frames are evenly spaced. placed: its images are at the positions in their headers, which is not true of
    a mosaic, so that no SEG can refer to it. Requested outputs that cannot be made of the item are left out. If none is
    requested, an image gets mask and overlay, a DICOM item its SEG, a volume its labels, and an item of several frames
    a contact sheet.
    """
    possible = set(OF_FRAME) | {"geojson", "contact-sheet"}
    if kind == "dicom" and placed:
        possible.add("seg")
    if volume:
        possible |= set(_VOLUMES)
    return tuple(output for output in asked or _default(kind, frames) if output in possible)


def _default(kind: Kind, frames: int) -> tuple[Output, ...]:
    if kind == "dicom":
        return ("mask", "seg", "contact-sheet") if frames > 1 else ("mask", "overlay", "seg")
    if kind == "nifti":
        return ("nifti", "contact-sheet")
    return ("mask", "overlay") if frames == 1 else ("mask", "overlay", "contact-sheet")
