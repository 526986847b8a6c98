"""The names of the outputs that a caller may request, and the outputs that are made by default."""

from collections.abc import Sequence
from typing import Literal

from maskrelay.contract.formats.sniff import Kind

#: The outputs that are made for each item. An item may have its own.
ItemOutput = Literal[
    "mask",
    "overlay",
    "probability",
    "nifti",
    "nifti-per-prompt",
    "seg",
    "contact-sheet",
    "geojson",
    "preview",
]
Output = Literal[ItemOutput, "table", "report"]
#: The outputs that are made for each frame, while its pixels are in memory.
OF_FRAME: frozenset[Output] = frozenset({"mask", "overlay", "probability", "preview"})
#: The run card, a file of the whole job.
REPORT: Output = "report"
#: The outputs that are made for the whole job: rows of the result tables, and the run card.
OF_JOB: frozenset[Output] = frozenset({"table", REPORT})
#: The outputs that are made for a whole item, after all its frames have outcomes.
OF_ITEM: frozenset[Output] = frozenset({"nifti", "nifti-per-prompt", "seg", "contact-sheet", "geojson"})

_VOLUMES: tuple[Output, ...] = ("nifti", "nifti-per-prompt")


def outputs_of(
    asked: Sequence[Output], kind: Kind, frames: int, *, volume: bool, placed: bool = True
) -> tuple[Output, ...]:
    """Return the outputs of an item of this kind and number of frames.

    `volume` is true if the frames are evenly spaced slices. `placed` is true if the images are at the positions that
    their headers state. This is not so for a Siemens mosaic, so no SEG is made for it. Outputs that cannot be made from
    the item are omitted.

    If no output but the report is requested, the defaults are made. For the report, each item also gets a picture: an
    overlay, or a contact sheet if it has several frames. The defaults are:

    - For a DICOM item: masks and a SEG, with an overlay if the item has one frame, and with a contact sheet if it has
      several.
    - For a NIfTI file: a label volume and a contact sheet.
    - For any other item: masks and overlays, with a contact sheet if the item has several frames.
    """
    possible = set(OF_FRAME) | {"geojson", "contact-sheet"}
    if kind == "dicom" and placed:
        possible.add("seg")
    if volume:
        possible |= set(_VOLUMES)
    outputs = tuple(output for output in asked if output != REPORT) or _default(kind, frames)
    if REPORT in asked:
        outputs = (*outputs, "overlay" if frames == 1 else "contact-sheet")
    return tuple(output for output in dict.fromkeys(outputs) if output in possible)


def _default(kind: Kind, frames: int) -> tuple[Output, ...]:
    if kind == "dicom":
        return ("mask", "seg", "contact-sheet") if frames > 1 else ("mask", "overlay", "seg")
    if kind == "nifti":
        return ("nifti", "contact-sheet")
    return ("mask", "overlay") if frames == 1 else ("mask", "overlay", "contact-sheet")
