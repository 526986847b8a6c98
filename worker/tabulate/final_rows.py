"""The final rows of a job, computed from its result. They replace the rows that were added while the job ran."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count

from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Result, Submission
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.contract.tables.table_rows import Row, RowContext, item_row, mask_rows, run_row, segment_rows
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import lines_of, parsed
from worker.context import WorkerContext
from worker.context.job_records.plans import read_item_part
from worker.tabulate.tenant_tables import ResultTables

#: The number of the last part of every job. It is greater than that of any part that is added while the job runs.
FINAL = 1 << 40


def add_final_rows(context: WorkerContext, submission: Submission, result: Result, tables: ResultTables) -> None:
    """Add the rows of a job with a result to each table. A table that has them already is left as it is.

    Each table changes in one step: its provisional rows are removed, and the final rows are added. The row of `runs` is
    added last, so a reader that finds it there with `final` finds all other rows too.
    """
    rows = RowContext(submission.id, context.settings.public_url)
    codes = context.segment_codes()

    def lines() -> Iterator[tuple[ItemLine, PlannedItem | None]]:
        return final_lines(context.storage, result)

    _add(tables.masks, submission.id, (row for line, _ in lines() for row in mask_rows(rows, line)))
    _add(
        tables.segments,
        submission.id,
        (row for line, planned in lines() for row in segment_rows(rows, line, planned, codes)),
    )
    _add(tables.items, submission.id, (item_row(rows, line, planned) for line, planned in lines()))
    _add(tables.runs, submission.id, [run_row(submission, result)])


def _add(table: DeltaTable, job: str, rows: Iterable[Row]) -> None:
    table.add(TablePart(job, FINAL, parquet_files(table.columns, rows), replaces=True))


def final_lines(storage: Storage, result: Result) -> Iterator[tuple[ItemLine, PlannedItem | None]]:
    """Yield every item of a finished job with its outcomes, and the item in the plan if it was planned.

    One item at a time is in memory. Raises ObjectMissing if the job is being removed, and RecordUnreadable.
    """
    planned = _planned_items(storage, result.job)
    item = next(planned, None)
    with closing(storage.stream(result.items.key)) as chunks:
        for text in lines_of(chunks):
            line = parsed(text, ItemLine, result.items.key)
            while item is not None and item.item < line.item:
                item = next(planned, None)
            is_planned = item is not None and (item.item, item.custom_id) == (line.item, line.custom_id)
            yield line, item if is_planned else None


def _planned_items(storage: Storage, job: str) -> Iterator[PlannedItem]:
    for part in count():
        try:
            items = read_item_part(storage, job, part)
        except ObjectMissing:
            return
        yield from items
