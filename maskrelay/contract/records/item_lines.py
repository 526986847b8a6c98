"""The record of an item with the outcomes of its frames.

The record of an item is stored as one line of the result of a finished job. While a job runs, the same record is
computed for the responses of the API.
"""

from typing import Any

from pydantic import Field

from maskrelay.contract.record import Failure, Number, Record
from maskrelay.contract.records.job import ItemState
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled, PlannedItem

#: The prefix of the names of per-prompt label volumes in `Assembled.files`. The number of the prompt follows the
#: prefix.
PER_PROMPT = "nifti-per-prompt-"
_ENDINGS = {
    "nifti": "labels.nii.gz",
    "seg": "seg.dcm",
    "contact-sheet": "contact-sheet.png",
    "geojson": "outlines.geojson",
}
_OF_PROMPT = "mask.nii.gz"
WHOLE_ENDINGS = (*_ENDINGS.values(), _OF_PROMPT)


class ItemLine(Record):
    """The record of an item: its state, and the visible outcomes of its frames, in the order of the frames."""

    item: Number
    custom_id: str
    source_name: str | None = None
    #: The value in the plan (see `PlannedItem`).
    source: str | None = None
    #: The value in the plan (see `PlannedItem`).
    beside: str | None = None
    #: The value in the plan (see `PlannedItem`).
    members: tuple[str, ...] = ()
    state: ItemState
    #: The error of the first failed frame.
    error: Failure | None = None
    #: The value in the plan (see `PlannedItem`).
    findings: dict[str, Any] = Field(default_factory=dict)
    #: The value in the plan (see `PlannedItem`).
    identifiers: dict[str, str] = Field(default_factory=dict)
    #: The whole-item files, by output.
    files: dict[str, ArtifactRef] = Field(default_factory=dict)
    #: The SeriesInstanceUID of the DICOM SEG, if there is one.
    seg_series: str | None = None
    #: The reasons why requested files could not be made, by output.
    errors: dict[str, Failure] = Field(default_factory=dict)
    #: A measure of how likely it is that a mask of the item is wrong. Items with a higher suspicion should be reviewed
    #: first.
    suspicion: float = 0.0
    outcomes: tuple[Outcome, ...]


def item_state(outcomes: tuple[Outcome, ...], *, whole: bool = True) -> ItemState:
    """Return the state of an item with these outcomes of its frames.

    `whole` is false if a requested file could not be made, or if the item is held because slices are missing. If all
    frames succeeded and `whole` is true, the item succeeded.
    Otherwise, if at least one frame succeeded, the item is partial. If no frame succeeded but at least one frame
    failed, the item failed. If all frames were cancelled, the item is cancelled.
    """
    states = {outcome.state for outcome in outcomes}
    if states == {"succeeded"} and whole:
        return "succeeded"
    if "succeeded" in states:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def item_line(planned: PlannedItem, outcomes: tuple[Outcome, ...], assembled: Assembled | None = None) -> ItemLine:
    """Return the record of an item whose frames all have an outcome.

    If the item is held because slices are missing, or if a requested file could not be made, the item cannot have the
    state `succeeded`.
    """
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    errors = assembled.errors if assembled else {}
    return ItemLine(
        item=planned.item,
        custom_id=planned.custom_id,
        source_name=planned.source_name,
        source=planned.source,
        beside=planned.beside,
        members=planned.members,
        state=item_state(outcomes, whole=not errors and not planned.held),
        error=error,
        findings=planned.findings,
        identifiers=planned.identifiers,
        files=assembled.files if assembled else {},
        seg_series=assembled.seg_series if assembled else None,
        errors=errors,
        outcomes=outcomes,
    )


def whole_names(line: ItemLine) -> dict[str, str]:
    """Return the output of each whole-item file, by the artifact name of the file, such as `{item}.labels.nii.gz`."""
    return {_whole_name(line.item, output): output for output in line.files}


def _whole_name(item: int, output: str) -> str:
    apart = "-" if output.startswith(PER_PROMPT) else "."
    return f"{item}{apart}{file_name(output)}"


def file_name(output: str) -> str:
    """Return the name of the whole-item file of this output, without the number of the item."""
    if output.startswith(PER_PROMPT):
        return f"{output.removeprefix(PER_PROMPT)}.{_OF_PROMPT}"
    return _ENDINGS[output]


def flags_of(line: ItemLine) -> list[str]:
    """Return the flags of all masks of the item. A flag is repeated for each mask that has it."""
    return [flag for outcome in line.outcomes for mask in outcome.masks for flag in mask.flags]
