"""The survey of DICOM, NIfTI and multi-page TIFF sources for the plan: how many frames they have, and how to read them.

All functions raise only subclasses of ItemError.
"""

from pathlib import Path
from typing import Any

from maskrelay.contract.records.job import PixelOptions
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_frames import Reading
from maskrelay.errors import SourceTooLarge, Truncated
from maskrelay.imaging.dicom import read_facts
from maskrelay.imaging.orientation import slice_axis
from maskrelay.imaging.read.nifti_slices import (
    chosen_volume,
    grid_of,
    picture_spacing,
    read_facts_of,
)
from maskrelay.imaging.read.tiff import find_pages, read_page


def survey_dicom(source: bytes | Path, about: dict[str, Any], *, key: bytes) -> Surveyed:
    """Survey one DICOM object.

    `about` contains the fields of `Surveyed` that are already known. `key` is the key for the hash of the patient's
    identity. A dose object that is one of several files is refused, because it is not an image.
    """
    facts = read_facts(source, key=key, among_others="name" in about)
    several = facts.frames > 1
    reading = Reading(kind="dicom", several=several, spacing=facts.spacing, aspect=facts.aspect)
    size = facts.rows * facts.columns * facts.samples * -(-facts.bits // 8) if several else about["size"]
    return Surveyed(**{**about, "size": size}, frames=facts.frames, bits=facts.bits, reading=reading, facts=facts)


def survey_nifti(
    head: bytes, about: dict[str, Any], options: PixelOptions, *, length: int | None = None, most_bytes: int
) -> Surveyed:
    """Survey a NIfTI file by its header.

    The options select the volume if there are several, and the axis along which it is cut into slices. `length` is the
    size of the decompressed file. If it is None, missing voxels are only detected when the frames are read.
    """
    facts = read_facts_of(head)
    needed = facts.start + facts.volumes * facts.volume_bytes
    if needed > most_bytes:
        raise SourceTooLarge(f"The volumes have {needed} bytes; at most {most_bytes} are accepted in one source.")
    if length is not None and length < needed:
        raise Truncated(f"The file has {length} bytes, but its header requires {needed}.")
    volume = chosen_volume(facts, options.volume)
    axis = slice_axis(facts.affine, facts.shape, options.slice_axis)
    grid = grid_of(facts, axis)
    reading = Reading(
        kind="nifti",
        several=True,
        axis=axis,
        volume=volume,
        turn=grid.turn,
        spacing=picture_spacing(facts, axis, grid.turn),
    )
    frames, size = facts.shape[axis], facts.volume_bytes // facts.shape[axis]
    about = {**about, "size": size, "findings": facts.findings}
    return Surveyed(**about, frames=frames, bits=facts.bits, reading=reading, grid=grid)


def survey_tiff(path: Path, about: dict[str, Any], *, max_pixels: int) -> Surveyed:
    """Survey a TIFF file. Each page that is an image of its own is a frame. Frames have the bits of the first page."""
    pages = find_pages(path, max_pixels=max_pixels)
    findings = {"pages_left_out": pages.left_out} if pages.left_out else {}
    if pages.count == 1:
        return Surveyed(**about, reading=Reading(kind="tiff"), findings=findings)
    first = read_page(path, 0, max_pixels=max_pixels)
    about = {**about, "size": about["size"] // pages.count, "findings": findings}
    return Surveyed(**about, frames=pages.count, bits=first.bits, reading=Reading(kind="tiff", several=True))
