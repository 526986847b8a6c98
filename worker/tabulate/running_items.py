"""The rows of a running job in `items` and `segments`: those of the items whose frames all have an outcome."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maskrelay.contract.records.item_lines import ItemLine, item_line
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.tables.table_rows import Row, RowContext, item_row, segment_rows
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.rules.visible_line import placed
from worker.context import WorkerContext
from worker.context.job_records.plans import LruCache
from worker.tabulate.final_rows import FINAL
from worker.tabulate.outcome_reader import PlannedItems, Progress, new_outcomes, progress_of, read_part
from worker.tabulate.tenant_tables import ResultTables

#: The number of outcome parts that are in memory.
_PARTS = 16


@dataclass(frozen=True, slots=True)
class _CompleteItem:
    """An item whose frames all have an outcome."""

    planned: PlannedItem
    #: The outcome of the only frame. None if the item has several frames.
    outcome: Outcome | None = None
    #: The numbers of the outcome parts with the outcomes of several frames.
    parts: tuple[int, ...] = ()

    @property
    def frames(self) -> range:
        return _frames_of(self.planned)


def add_running_items(context: WorkerContext, submission: Submission, tables: ResultTables, until: float) -> bool:
    """Add the rows of the items that became complete since the last call. Return whether outcome parts may be left.

    What is added is never removed before the final rows replace it. Nothing is added after the final rows.
    """
    job = submission.id
    progress = progress_of(context, tables.items.refresh(), job)
    while True:
        found = new_outcomes(context, job, progress, lambda _: True)
        complete = _complete(context, job, progress.known, found.outcomes)
        if complete and not _add(context, submission, tables, complete, found.progress):
            return False  # another worker tabulates the job
        # An item that is not complete yet is found again by its last frame.
        added = frozenset(frame for item in complete for frame in item.frames)
        progress = Progress(progress.known | added, found.progress.count, found.progress.last)
        if not found.more or time.monotonic() >= until:
            return found.more


def _complete(
    context: WorkerContext, job: str, known: frozenset[int], outcomes: Iterable[Outcome]
) -> list[_CompleteItem]:
    """Return the items of these outcomes whose frames all have an outcome, in order."""
    plan = PlannedItems(context.storage, job)
    single: list[_CompleteItem] = []
    several: dict[int, PlannedItem] = {}
    for outcome in outcomes:
        item = plan.of_frame(outcome.frame)
        if item.frames == 1:
            single.append(_CompleteItem(item, outcome))
        elif item.first not in known:
            several[item.first] = item
    found = context.ledger.jobs.part_numbers(job, [_frames_of(item) for item in several.values()]) if several else []
    numbered = zip(several.values(), found, strict=True)
    whole = [
        _CompleteItem(item, parts=tuple(sorted({number for number in numbers if number is not None})))
        for item, numbers in numbered
        if numbers is not None and None not in numbers
    ]
    return sorted([*single, *whole], key=lambda item: item.planned.item)


def _add(
    context: WorkerContext,
    submission: Submission,
    tables: ResultTables,
    complete: Sequence[_CompleteItem],
    progress: Progress,
) -> bool:
    """Add the rows of these items. Return False if another process adds rows of the job."""
    job, codes = submission.id, context.segment_codes()
    rows = RowContext(job, context.settings.public_url, final=False)
    lines = _Lines(context, job)
    tags = progress.tags(frame for item in complete for frame in item.frames)
    # The table of items is changed last. If the process ends before, segments that are there already are left out.
    there = progress_of(context, tables.segments.refresh(), job).known
    segments = (
        row
        for item in complete
        if item.planned.first not in there
        for row in segment_rows(rows, lines.of(item), item.planned, codes)
    )
    items = (item_row(rows, lines.of(item), item.planned) for item in complete)
    return _add_part(tables.segments, job, segments, tags) and _add_part(tables.items, job, items, tags)


def _add_part(table: DeltaTable, job: str, rows: Iterable[Row], tags: Mapping[str, str]) -> bool:
    last = table.refresh().part_of(job)
    if last >= FINAL:
        return False
    return table.add(TablePart(job, last + 1, parquet_files(table.columns, rows), owned=True, tags=tags))


class _Lines:
    """The records of items, made from outcome parts. A few parts are in memory."""

    def __init__(self, context: WorkerContext, job: str) -> None:
        self._context = context
        self._job = job
        self._parts = LruCache[int, dict[int, Outcome]](self._read, most=_PARTS)

    def of(self, item: _CompleteItem) -> ItemLine:
        if item.outcome is not None:
            outcomes = [item.outcome]
        else:
            found: dict[int, Outcome] = {}
            for number in item.parts:
                part = self._parts(number)
                found |= {frame: part[frame] for frame in item.frames if frame in part and frame not in found}
            outcomes = [found[frame] for frame in sorted(found)]
        return item_line(item.planned, tuple(placed(outcome, item.planned) for outcome in outcomes))

    def _read(self, number: int) -> dict[int, Outcome]:
        """Return the outcomes of a part that count, by frame."""
        listed = self._context.ledger.jobs.parts(self._job, number, number)
        return {
            outcome.frame: outcome
            for name, refused in listed
            for outcome in read_part(self._context.storage, self._job, name)
            if outcome.frame not in refused
        }


def _frames_of(item: PlannedItem) -> range:
    return range(item.first, item.first + item.frames)
