"""The rows of a running job, computed from its outcome parts.

The files of the table itself record which frames have rows already. If Redis loses its list of outcome parts, or if two
workers tabulate the same job, every frame therefore still has its rows once.
"""

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import Halt
from maskrelay.contract.records.item_lines import item_line
from maskrelay.contract.records.job import FRAMES_PER_PART, Submission
from maskrelay.contract.records.outcomes import Outcome, read_outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.tables.table_rows import Row, RowContext, mask_rows, running_row
from maskrelay.delta.delta_table import DeltaTable, TablePart, owned_files
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.delta.table_snapshot import TableSnapshot
from maskrelay.errors import ObjectMissing
from maskrelay.rules.visible_line import placed
from maskrelay.storage.protocol import Storage
from worker.context import WorkerContext
from worker.context.job_records.plans import LruCache, read_item_part
from worker.tabulate.tenant_tables import ResultTables

#: The tags of a file: the frames whose rows it has, as ranges, and the position in the list of outcome parts up to
#: which they were read, with the name of the last part.
FRAMES, LISTED = "maskrelay.frames", "maskrelay.listed"
#: The most frames whose outcomes are in memory, and whose rows are added in one commit.
FRAMES_PER_COMMIT = 5_000


def add_running_rows(
    context: WorkerContext, submission: Submission, tables: ResultTables, until: float, halted: Halt | None
) -> bool:
    """Add the rows of the frames that have an outcome and no rows yet. Return whether frames may be left.

    The work stops when `until` (monotonic seconds) is over. `halted` says why the job ended without a result, if it
    did.
    """
    _add_run(tables.runs, submission, halted)
    rows = RowContext(submission.id, context.settings.public_url, final=False)
    while True:
        snapshot = tables.masks.refresh()
        found = _new_outcomes(context, snapshot, submission.id)
        if found.outcomes:
            items = PlannedItems(context.storage, submission.id)
            part = TablePart(
                submission.id,
                snapshot.part_of(submission.id) + 1,
                parquet_files(tables.masks.columns, _rows(rows, items, found.outcomes)),
                owned=True,
                tags={FRAMES: ranges_text(outcome.frame for outcome in found.outcomes), LISTED: found.listed},
            )
            if not tables.masks.add(part):
                return False  # another worker tabulates the job
        if not found.more or time.monotonic() >= until:
            return found.more


def _add_run(runs: DeltaTable, submission: Submission, halted: Halt | None) -> None:
    """Add the row of the job, or replace it if the job was halted."""
    number = runs.refresh().part_of(submission.id)
    if number and halted is None:
        return
    row = running_row(submission, "failed" if halted else "running", halted.code if halted else None)
    files = parquet_files(runs.columns, [row])
    runs.add(TablePart(submission.id, number + 1, files, replaces=True, owned=True))


def _rows(context: RowContext, items: "PlannedItems", outcomes: Iterable[Outcome]) -> Iterator[Row]:
    for outcome in outcomes:
        item = items.of_frame(outcome.frame)
        yield from mask_rows(context, item_line(item, (placed(outcome, item),)))


@dataclass(frozen=True, slots=True)
class _NewOutcomes:
    outcomes: list[Outcome]
    #: The value of the tag LISTED.
    listed: str
    #: Whether there are further parts.
    more: bool


def _new_outcomes(context: WorkerContext, snapshot: TableSnapshot, job: str) -> _NewOutcomes:
    """Read outcome parts, beginning with the first that was not read yet, until FRAMES_PER_COMMIT frames are found.

    Only the visible outcome of a frame is taken: the first in the list of parts that was not refused.
    """
    tags = [file.get("tags", {}) for file in owned_files(snapshot, job)]
    known = frozenset(frame for tag in tags for frame in frames_in(tag.get(FRAMES, "")))
    parts = context.ledger.jobs
    count, last = max((_position(tag.get(LISTED, "")) for tag in tags), default=(0, ""))
    if count and [name for name, _ in parts.parts(job, count - 1, count - 1)] != [last]:
        count, last = 0, ""  # Redis has lost the list, and the parts are listed again in another order
    seen, outcomes = set(known), list[Outcome]()
    listed = parts.parts(job, count)
    for name, refused in listed:
        if len(outcomes) >= FRAMES_PER_COMMIT:
            return _NewOutcomes(outcomes, f"{count} {last}", more=True)
        count, last = count + 1, name
        for outcome in _read(context.storage, job, name):
            if outcome.frame not in refused and outcome.frame not in seen:
                seen.add(outcome.frame)
                outcomes += [outcome] if outcome.masks else []
    return _NewOutcomes(outcomes, f"{count} {last}", more=False)


def _read(storage: Storage, job: str, name: str) -> Iterator[Outcome]:
    try:
        lines = storage.get(keys.outcome_part(job, name)).splitlines()
    except ObjectMissing:
        return
    yield from (outcome for line in lines if (outcome := read_outcome(line)) is not None)


def _position(tag: str) -> tuple[int, str]:
    number, _, name = tag.partition(" ")
    return (int(number), name) if number.isdecimal() else (0, "")


class PlannedItems:
    """The items of a job's plan by the numbers of their frames. A few parts of the plan are in memory."""

    def __init__(self, storage: Storage, job: str) -> None:
        self._part = LruCache[int, list[PlannedItem]](lambda part: read_item_part(storage, job, part), most=8)

    def of_frame(self, frame: int) -> PlannedItem:
        """Return the item to which the frame belongs. Raises ObjectMissing and RecordUnreadable."""
        for part in range(frame // FRAMES_PER_PART, -1, -1):
            items = self._part(part)
            place = bisect_right(items, frame, key=lambda item: item.first)
            if place:
                return items[place - 1]
        raise ObjectMissing


def ranges_text(frames: Iterable[int]) -> str:
    """Return the frames as text, such as `0-63,70`."""
    numbered = enumerate(sorted(frames))
    runs = ([frame for _, frame in run] for _, run in groupby(numbered, key=lambda pair: pair[1] - pair[0]))
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def frames_in(text: str) -> Iterator[int]:
    """Yield the frames of a text that `ranges_text` returned."""
    for run in text.split(",") if text else ():
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)
