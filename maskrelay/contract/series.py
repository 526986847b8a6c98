"""DICOM frames that belong together, in order: what becomes one item."""

from typing import Any

from maskrelay.contract.outcomes import Record
from maskrelay.contract.sources import Grid


class Stack(Record):
    """members: each frame's source (its number among those given) and its frame in there, along the slices' normal.

    findings, each with its number: `duplicates` (objects sent twice, left out), `mixed_orientations` (stacks that the
    series was split into), `several_at_each_position` (stacks, told apart by echo, time and the like),
    `ambiguous_positions` (frames at a place of another, not told apart), `gaps` (slices missing between others),
    `missing_slices` (objects the series says to have beyond those sent), `uneven_steps`, `tilted` (the slices are
    shifted in their plane: a tilted gantry). grid: where the frames lie in space; None where that is not known or they
    make no even volume.
    """

    members: tuple[tuple[int, int], ...]
    findings: dict[str, Any] = {}
    grid: Grid | None = None
