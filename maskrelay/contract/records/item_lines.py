"""An item with the outcomes of its frames.

It is stored as one line of the job's final object. While the job runs, the same record is computed for responses.
"""

from typing import Any

from pydantic import Field

from maskrelay.contract.record import Failure, Number, Record
from maskrelay.contract.records.job import ItemState
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled, PlannedItem

#: The prefix of the output names of per-prompt label volumes in `Assembled`. The prompt's number follows it.
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
    """The final record of an item: its state, and the visible outcome of each of its frames in order."""

    item: Number
    custom_id: str
    source_name: str | None = None
    #: From the plan (see `PlannedItem`).
    members: tuple[str, ...] = ()
    state: ItemState
    #: The error of the first failed frame.
    error: Failure | None = None
    #: From the plan (see `PlannedItem`).
    findings: dict[str, Any] = Field(default_factory=dict)
    #: From the plan (see `PlannedItem`).
    identifiers: dict[str, str] = Field(default_factory=dict)
    #: The files of the whole item, by output.
    files: dict[str, ArtifactRef] = Field(default_factory=dict)
    #: The reasons why requested files could not be made, by output.
    errors: dict[str, Failure] = Field(default_factory=dict)
    #: Items with a higher suspicion should be reviewed first.
    suspicion: float = 0.0
    outcomes: tuple[Outcome, ...]


def item_state(outcomes: tuple[Outcome, ...], *, whole: bool = True) -> ItemState:
    """Return the state of an item whose frames have these outcomes.

    The item succeeded if all frames succeeded and it is `whole`, which means that it has all requested files. It is
    partial if at least one frame succeeded. Otherwise it failed if a frame failed, and it is cancelled if none did.
    """
    states = {outcome.state for outcome in outcomes}
    if states == {"succeeded"} and whole:
        return "succeeded"
    if "succeeded" in states:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def item_line(planned: PlannedItem, outcomes: tuple[Outcome, ...], assembled: Assembled | None = None) -> ItemLine:
    """Return the line of an item whose frames all have an outcome.

    An item is at best partial if it is held, or if a requested file could not be made.
    """
    error = next((outcome.error for outcome in outcomes if outcome.error), None)
    errors = assembled.errors if assembled else {}
    return ItemLine(
        item=planned.item,
        custom_id=planned.custom_id,
        source_name=planned.source_name,
        members=planned.members,
        state=item_state(outcomes, whole=not errors and not planned.held),
        error=error,
        findings=planned.findings,
        identifiers=planned.identifiers,
        files=assembled.files if assembled else {},
        errors=errors,
        outcomes=outcomes,
    )


def whole_names(line: ItemLine) -> dict[str, str]:
    """Return the outputs of the item's whole-item files by artifact name, such as `{item}.labels.nii.gz`."""
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
