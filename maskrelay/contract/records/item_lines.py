"""An item with its outcomes: one line of the final object, and its representation while the job runs."""

from typing import Any

from maskrelay.contract.record import Failure, Number, Record
from maskrelay.contract.records.job import ItemState
from maskrelay.contract.records.outcomes import ArtifactRef, Outcome
from maskrelay.contract.records.planned_items import Assembled, PlannedItem

#: The prefix of the outputs of per-prompt label volumes in `Assembled`; the prompt's number follows it.
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
    """The final record of an item: its state and the visible outcome of each of its frames, in order."""

    item: Number
    custom_id: str
    source_name: str | None = None
    #: As planned.
    members: tuple[str, ...] = ()
    state: ItemState
    error: Failure | None = None
    #: As planned.
    findings: dict[str, Any] = {}
    #: As planned.
    identifiers: dict[str, str] = {}
    #: The files of the whole item, by output.
    files: dict[str, ArtifactRef] = {}
    #: Why files could not be made, by output.
    errors: dict[str, Failure] = {}
    #: The higher, the more there is to review.
    suspicion: float = 0.0
    outcomes: tuple[Outcome, ...]


def item_state(outcomes: tuple[Outcome, ...], *, whole: bool = True) -> ItemState:
    """Return the state of an item.

    All frames succeeded: succeeded. Some, or not `whole`: partial. None: failed, or cancelled if all were cancelled.
    """
    states = {outcome.state for outcome in outcomes}
    if states == {"succeeded"} and whole:
        return "succeeded"
    if "succeeded" in states:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def item_line(planned: PlannedItem, outcomes: tuple[Outcome, ...], assembled: Assembled | None = None) -> ItemLine:
    """Return the line of an item whose frames are all decided; its error is that of its first failed frame.

    An item that is held, or lacks a requested file, is at best partial.
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
    """Return the item's own files by artifact name, with their outputs: `{item}.labels.nii.gz`, `{item}.seg.dcm` …"""
    return {_whole_name(line.item, output): output for output in line.files}


def _whole_name(item: int, output: str) -> str:
    apart = "-" if output.startswith(PER_PROMPT) else "."
    return f"{item}{apart}{file_name(output)}"


def file_name(output: str) -> str:
    """Return the name of a whole-item file of this output within its item."""
    if output.startswith(PER_PROMPT):
        return f"{output.removeprefix(PER_PROMPT)}.{_OF_PROMPT}"
    return _ENDINGS[output]


def flags_of(line: ItemLine) -> list[str]:
    """Return the flags of all masks of the item, once for each mask."""
    return [flag for outcome in line.outcomes for mask in outcome.masks for flag in mask.flags]
