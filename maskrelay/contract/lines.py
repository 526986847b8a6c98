"""An item with its outcomes: one line of the final object, and its representation while the job runs."""

from typing import Any

from maskrelay.contract.jobs import ItemState
from maskrelay.contract.outcomes import ArtifactRef, Failure, Number, Outcome, Record
from maskrelay.contract.planned import Assembled, PlannedItem

#: The files of an item by output, as `Assembled` has them; the labels of each prompt end with its number.
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
    """An item's final record: its state and the one visible outcome of each of its frames, in order.

    files: of the whole item, by output; errors: of those that could not be made. suspicion: the higher, the more there
    is to look at. members, findings, identifiers: as planned.
    """

    item: Number
    custom_id: str
    source_name: str | None = None
    members: tuple[str, ...] = ()
    state: ItemState
    error: Failure | None = None
    findings: dict[str, Any] = {}
    identifiers: dict[str, str] = {}
    files: dict[str, ArtifactRef] = {}
    errors: dict[str, Failure] = {}
    suspicion: float = 0.0
    outcomes: tuple[Outcome, ...]


def item_state(outcomes: tuple[Outcome, ...], *, whole: bool = True) -> ItemState:
    """All frames succeeded: succeeded; some, or not `whole`: partial; none: failed, or cancelled if nothing else."""
    states = {outcome.state for outcome in outcomes}
    if states == {"succeeded"} and whole:
        return "succeeded"
    if "succeeded" in states:
        return "partial"
    return "failed" if "failed" in states else "cancelled"


def item_line(planned: PlannedItem, outcomes: tuple[Outcome, ...], assembled: Assembled | None = None) -> ItemLine:
    """The line of an item whose frames have all been decided; its error is its first frame's that has one.

    An item that is held, or lacks a file that was to be made of it, is partial at best.
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
    """The item's own files by artifact name, with the output each is: `{item}.labels.nii.gz`, `{item}.seg.dcm` …"""
    return {_whole_name(line.item, output): output for output in line.files}


def _whole_name(item: int, output: str) -> str:
    apart = "-" if output.startswith(PER_PROMPT) else "."
    return f"{item}{apart}{file_name(output)}"


def file_name(output: str) -> str:
    """What a whole-item file of this output is called within its item."""
    if output.startswith(PER_PROMPT):
        return f"{output.removeprefix(PER_PROMPT)}.{_OF_PROMPT}"
    return _ENDINGS[output]


def flags_of(line: ItemLine) -> list[str]:
    """Every flag of the item's masks, once a mask."""
    return [flag for outcome in line.outcomes for mask in outcome.masks for flag in mask.flags]
