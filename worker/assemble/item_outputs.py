"""The files of a whole item. Each has a name, a media type and a function that writes it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import BinaryIO

from pydicom import Dataset

from maskrelay.contract.records.item_lines import PER_PROMPT
from maskrelay.contract.vocabulary.segment_codes import CodeTable, codes_of
from maskrelay.imaging.draw.legend import LegendEntry
from maskrelay.imaging.draw.palette import colour_of
from maskrelay.imaging.item_files.contact_sheet import write_contact_sheet
from maskrelay.imaging.item_files.geojson import write_geojson
from maskrelay.imaging.item_files.nifti_labels import write_labels_nifti, write_mask_nifti
from maskrelay.imaging.item_files.seg import write_seg
from maskrelay.imaging.item_files.seg_header import Making, Segment, derived_uid
from maskrelay.imaging.item_files.seg_sources import read_source_header
from worker.assemble.whole_item import WholeItem
from worker.context.source_cache import SourceCache

_GZIP, _DICOM, _PNG, _GEOJSON = "application/gzip", "application/dicom", "image/png", "application/geo+json"


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file of a whole item."""

    #: The key of the file in `Assembled.files`.
    output: str
    content_type: str
    #: Writes the file. Raises ArtifactUnsupported if the item cannot be written in this format.
    write: Callable[[BinaryIO], None]


def files_of(whole: WholeItem, sources: SourceCache, codes: CodeTable) -> Iterator[WholeFile]:
    """Yield every requested file of the item."""
    prompts = whole.prompts
    for output in whole.wanted:
        match output:
            case "nifti":
                yield WholeFile(output, _GZIP, partial(_labels, whole))
            case "nifti-per-prompt":
                for number in range(len(prompts)):
                    yield WholeFile(f"{PER_PROMPT}{number}", _GZIP, partial(_mask, whole, number))
            case "seg":
                yield WholeFile(output, _DICOM, partial(_seg, whole, sources, codes))
            case "contact-sheet":
                yield WholeFile(output, _PNG, partial(_contact_sheet, whole))
            case "geojson":
                yield WholeFile(output, _GEOJSON, partial(_geojson, whole))


def _labels(whole: WholeItem, out: BinaryIO) -> None:
    assert whole.item.grid is not None
    write_labels_nifti(out, whole.item.grid, whole.labels_of, len(whole.prompts), whole.prompts)


def _mask(whole: WholeItem, prompt: int, out: BinaryIO) -> None:
    assert whole.item.grid is not None
    write_mask_nifti(out, whole.item.grid, whole.mask_of, prompt)


def _contact_sheet(whole: WholeItem, out: BinaryIO) -> None:
    legend = [
        LegendEntry(prompt, colour_of(number), empty=whole.first_found(number) is None)
        for number, prompt in enumerate(whole.prompts)
    ]
    write_contact_sheet(out, len(whole.frames), whole.sizes, whole.thumbnail_of, legend)


def _geojson(whole: WholeItem, out: BinaryIO) -> None:
    write_geojson(out, whole.prompts, len(whole.frames), whole.mask_of)


def _seg(whole: WholeItem, sources: SourceCache, codes: CodeTable, out: BinaryIO) -> None:
    frames = whole.frames
    first = {(frame.opened_from, frame.extent): frame for frame in reversed(frames)}
    number = {place: count for count, place in enumerate(first)}
    objects = list(first.values())

    def header_of(count: int) -> Dataset:
        frame = objects[count]
        with sources.opened(frame.opened_from, frame.extent, frame.reading) as opened:
            return read_source_header(opened)

    placed = [(number[frame.opened_from, frame.extent], frame.reading.index) for frame in frames]
    write_seg(out, placed, header_of, _segments(whole, codes), whole.mask_of, _making(whole))


def _segments(whole: WholeItem, codes: CodeTable) -> list[Segment]:
    found = [whole.first_found(number) for number in range(len(whole.prompts))]
    return [
        Segment(prompt, codes_of(prompt, mask.category if mask else None, codes))
        for prompt, mask in zip(whole.prompts, found, strict=True)
    ]


def seg_series_of(whole: WholeItem) -> str:
    """Return the SeriesInstanceUID of the item's DICOM SEG."""
    return derived_uid(_making(whole).fingerprint, "series")


def _making(whole: WholeItem) -> Making:
    """Return the values that describe the creation of the DICOM SEG.

    They depend on the submission, the pinned sources, the model and the version of this software, but not on the
    current time. A repeated attempt therefore makes the same file. If frames failed, the file has their numbers in its
    fingerprint: when the item is segmented again as a whole, that is another object, and an archive stores it too.
    """
    assert whole.first is not None
    model = whole.first.model_version or "unknown"
    return Making(
        fingerprint=f"{whole.submission.fingerprint}:{whole.item.item}:{model}{_versions(whole)}{_failures(whole)}",
        made=whole.submission.created_at,
        software=f"maskrelay {version('maskrelay')}",
        model_version=model,
    )


def _failures(whole: WholeItem) -> str:
    """Return the positions of the frames that failed, or nothing if there are none."""
    return f":without {json.dumps(whole.failed)}" if whole.failed else ""


def _versions(whole: WholeItem) -> str:
    """Return a hash of what the item is made from if its sources are references, or nothing if there are none.

    The fingerprint of the submission contains the hashes of uploads, but only the URLs of references. Of a manifest, it
    contains only the URL, so the prompts of the item and how its frames are read are in the hash too.
    """
    pinned = dict.fromkeys(frame.pinned for frame in whole.frames if frame.pinned is not None)
    if not pinned:
        return ""
    said = [f"{source.url} {source.size} {source.etag} {source.version}" for source in pinned]
    said += [json.dumps(whole.prompts)]
    said += dict.fromkeys(f"{frame.reading.model_dump_json()} {frame.square_pixels}" for frame in whole.frames)
    return ":" + hashlib.sha256("\n".join(said).encode()).hexdigest()
