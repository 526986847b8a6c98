"""The rows of the result tables, computed from the records of a job.

A row has every column of its table, with None for a value that is unknown or does not apply. The functions raise no
errors for records that this software has written.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from maskrelay.contract.record import Record
from maskrelay.contract.records.item_lines import ItemLine, whole_names
from maskrelay.contract.records.job import RESEARCH_ONLY, Result, Submission
from maskrelay.contract.records.outcomes import MaskOutcome, Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.records.source_frames import Grid
from maskrelay.contract.tables.table_schema import RUNS
from maskrelay.contract.vocabulary.segment_codes import CodeTable, codes_of

#: The values of a row by the names of the columns.
Row = dict[str, Any]
ALGORITHM = "MedImageParse"
_AUTOMATIC = "AUTOMATIC"


@dataclass(frozen=True, slots=True)
class RowContext:
    """What the rows of one job have in common."""

    #: The id of the job.
    run: str
    #: The URL at which callers reach the API. None if it is unknown. Links are then paths.
    public_url: str | None = None
    #: Whether the job has ended.
    final: bool = True

    def link(self, artifact: str) -> str:
        """Return the URL of an artifact by its name."""
        return f"{(self.public_url or '').rstrip('/')}/v1/jobs/{self.run}/artifacts/{artifact}"


def mask_rows(context: RowContext, line: ItemLine) -> Iterator[Row]:
    """Yield the rows of `masks`: one for each frame and prompt of the item. A frame without masks has no row."""
    common = {**_item_columns(context, line), "StudyInstanceUID": line.identifiers.get("study")}
    common["segmented_SeriesInstanceUID"] = line.identifiers.get("series")
    for outcome in line.outcomes:
        frame = {
            **common,
            "segmented_SOPInstanceUID": outcome.instance,
            "frame": outcome.index,
            "run_frame": outcome.frame,
            **_algorithm_columns(outcome),
            "intensity": outcome.intensity,
            "attempts": outcome.attempts,
            "final": context.final,
        }
        for number, mask in enumerate(outcome.masks):
            yield {**frame, **_mask_columns(context, line.item, outcome.frame, number, mask)}


def _mask_columns(context: RowContext, item: int, frame: int, number: int, mask: MaskOutcome) -> Row:
    height, width = mask.rle.size
    x, y, across, down = mask.bbox or (None, None, None, None)
    centroid_x, centroid_y = mask.centroid or (None, None)
    check = mask.self_check
    return {
        "prompt_number": number,
        "prompt": mask.prompt,
        "category": mask.category,
        "height": height,
        "width": width,
        "empty": mask.empty,
        "area_px": mask.area_px,
        "area_mm2": mask.area_mm2,
        "bbox_x": x,
        "bbox_y": y,
        "bbox_width": across,
        "bbox_height": down,
        "centroid_x": centroid_x,
        "centroid_y": centroid_y,
        "components": mask.components,
        "mean_probability": mask.mean_probability,
        "border": ",".join(mask.border),
        "flags": ",".join(mask.flags),
        "geometry_ok": check.ok if check else None,
        "geometry_shift_px": check.shift_px if check else None,
        "rle_counts": mask.rle.counts,
        "link": context.link(f"{item}-{frame}-{number}.mask.png") if mask.mask else None,
    }


def segment_rows(
    context: RowContext, line: ItemLine, planned: PlannedItem | None = None, codes: CodeTable | None = None
) -> Iterator[Row]:
    """Yield the rows of `segments`: one for each prompt of the item. An item without any mask has no row.

    `planned` is the item in the plan, whose grid is needed for volumes. `codes` contains the operator's own codes of
    segments.
    """
    scored = [outcome for outcome in line.outcomes if outcome.masks]
    if not scored:
        return
    grid = planned.grid if planned else None
    distance = slice_distance(grid) if grid and _is_whole(grid, len(scored)) else None
    common = {**_item_columns(context, line), "StudyInstanceUID": line.identifiers.get("study")}
    common |= {"segmented_SeriesInstanceUID": line.identifiers.get("series"), **_algorithm_columns(scored[0])}
    common |= {
        "SeriesInstanceUID": line.seg_series,
        "seg_link": _file_links(context, line).get("seg"),
        "frames": len(scored),
        "final": context.final,
    }
    for number in range(len(scored[0].masks)):
        masks = [(outcome.index, outcome.masks[number]) for outcome in scored if number < len(outcome.masks)]
        category = next((mask.category for _, mask in masks if not mask.empty), None)
        numbered = {"prompt_number": number, "prompt": masks[0][1].prompt, "category": category}
        numbered |= (
            {"SegmentNumber": number + 1, "SegmentationType": "BINARY"}
            if "seg" in line.files
            else {
                "SegmentNumber": None,
                "SegmentationType": None,
            }
        )
        yield {**common, **numbered, **_code_columns(masks[0][1].prompt, category, codes), **_sums(masks, distance)}


def _sums(masks: Sequence[tuple[int, MaskOutcome]], distance: float | None) -> Row:
    """Return the columns that summarise the masks of one prompt, given with the numbers of their frames."""
    found = [(place, mask) for place, mask in masks if not mask.empty]
    areas = [mask.area_mm2 for _, mask in masks]
    area_px = sum(mask.area_px for _, mask in found)
    area_mm2 = None if None in areas else math.fsum(area for area in areas if area is not None)
    weighted = math.fsum(mask.area_px * mask.mean_probability for _, mask in found)
    return {
        "slices": len(found),
        "first_slice": min((place for place, _ in found), default=None),
        "last_slice": max((place for place, _ in found), default=None),
        "area_px": area_px,
        "area_mm2": area_mm2,
        "volume_ml": None if area_mm2 is None or distance is None else area_mm2 * distance / 1000,
        "components": sum(mask.components for _, mask in found),
        "mean_probability": weighted / area_px if area_px else None,
        "flags": ",".join(dict.fromkeys(flag for _, mask in masks for flag in mask.flags)),
    }


def _is_whole(grid: Grid, segmented: int) -> bool:
    """Return whether the segmented frames are all slices of a volume, so that their masks have a volume.

    Without a slice that is missing in the series, or that failed, the volume would be too small. A single slice has no
    neighbour, and its thickness may be unknown.
    """
    return 1 < grid.shape[grid.axis] == segmented


def slice_distance(grid: Grid) -> float:
    """Return the distance between neighbouring slices in millimetres.

    It is measured along the normal of the slices, so an affine with shear gives the distance of the planes.
    """
    axes = [[grid.affine[row][axis] for row in range(3)] for axis in range(3)]
    step = axes[grid.axis]
    one, other = (axes[axis] for axis in range(3) if axis != grid.axis)
    normal = (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )
    length = math.hypot(*normal)
    return abs(math.fsum(a * b for a, b in zip(step, normal, strict=True))) / length if length else math.hypot(*step)


def item_row(context: RowContext, line: ItemLine, planned: PlannedItem | None = None) -> Row:
    """Return the row of `items`. `planned` is the item in the plan, or None for an item that was never planned."""
    scored = next((outcome for outcome in line.outcomes if outcome.masks), None)
    height, width = scored.masks[0].rle.size if scored else (None, None)
    grid = planned.grid if planned else None
    states = [outcome.state for outcome in line.outcomes]
    flags = dict.fromkeys(flag for outcome in line.outcomes for mask in outcome.masks for flag in mask.flags)
    return {
        **_item_columns(context, line),
        "members_json": _json(line.members) if line.members else None,
        "state": line.state,
        "error_code": line.error.code if line.error else None,
        "error_detail": line.error.detail if line.error else None,
        "errors_json": _json(line.errors) if line.errors else None,
        "StudyInstanceUID": line.identifiers.get("study"),
        "SeriesInstanceUID": line.identifiers.get("series"),
        "FrameOfReferenceUID": line.identifiers.get("frame_of_reference"),
        "Modality": planned.modality if planned else None,
        "kind": planned.kind if planned else None,
        "frames": len(states),
        "frames_succeeded": states.count("succeeded"),
        "frames_failed": states.count("failed"),
        "height": height,
        "width": width,
        "slice_distance_mm": slice_distance(grid) if grid and grid.shape[grid.axis] > 1 else None,
        "grid_json": _json(grid) if grid else None,
        "intensity": scored.intensity if scored else None,
        "findings_json": _json(line.findings) if line.findings else None,
        **_algorithm_columns(scored),
        "suspicion": line.suspicion,
        "flags": ",".join(flags),
        "files_json": _json(_file_links(context, line)) if line.files else None,
        "final": context.final,
    }


def run_row(submission: Submission, result: Result) -> Row:
    """Return the row of `runs` of a job with a result."""
    return {
        **running_row(submission, result.state),
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "items": result.counts.total,
        **{
            f"items_{state}": getattr(result.counts, state) for state in ("succeeded", "partial", "failed", "cancelled")
        },
        "frames": result.frames.planned,
        **{f"frames_{state}": getattr(result.frames, state) for state in ("succeeded", "failed", "cancelled")},
        "rescored": result.rescored,
        "reason": result.reason,
        "software_json": _json(result.software),
        "pixels_json": _json(result.pixels),
        "endpoints_json": _json(result.endpoints),
        "timings_json": _json(result.timings),
        "flags_json": _json(result.flags),
        "final": True,
    }


def running_row(submission: Submission, state: str, error_code: str | None = None) -> Row:
    """Return the row of `runs` of a job without a result: it still runs, or ended without one (`error_code`)."""
    return {
        **dict.fromkeys(column.name for column in RUNS),
        "run": submission.id,
        "tenant": submission.tenant,
        "state": state,
        "lane": submission.lane,
        "created_at": submission.created_at,
        "items": submission.total,
        "error_code": error_code,
        "identifiers": submission.pixels.identifiers,
        "outputs_json": _json(submission.outputs),
        "options_json": _json(submission.pixels),
        "metadata_json": _json(submission.metadata),
        "redrive_of": submission.redrive_of,
        "notice": RESEARCH_ONLY,
        "final": False,
    }


def _item_columns(context: RowContext, line: ItemLine) -> Row:
    return {
        "run": context.run,
        "item": line.item,
        "custom_id": line.custom_id,
        "source": line.source,
        "source_name": line.source_name,
    }


def _algorithm_columns(outcome: Outcome | None) -> Row:
    return {
        "AlgorithmName": ALGORITHM if outcome else None,
        "AlgorithmType": _AUTOMATIC if outcome else None,
        "model_version": outcome.model_version if outcome else None,
        "endpoint": outcome.endpoint if outcome else None,
    }


def _code_columns(prompt: str, category: str | None, codes: CodeTable | None) -> Row:
    chosen = codes_of(prompt, category, codes)
    named = {"SegmentedPropertyCategory": chosen.category, "SegmentedPropertyType": chosen.type}
    columns: Row = {}
    for name, code in named.items():
        columns[f"{name}_CodeValue"] = code.value
        columns[f"{name}_CodingSchemeDesignator"] = code.scheme
        columns[f"{name}_CodeMeaning"] = code.meaning
    return columns


def _file_links(context: RowContext, line: ItemLine) -> dict[str, str]:
    return {output: context.link(name) for name, output in whole_names(line).items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain, separators=(",", ":"))


def _plain(value: Record) -> Any:
    return value.model_dump(mode="json", exclude_none=True)
