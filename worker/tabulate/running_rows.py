"""The rows of a running job in `masks` and `runs`, computed from its outcome parts. See `outcome_reader`."""

import time
from collections.abc import Iterable, Iterator

from maskrelay.contract.records.endings import Halt
from maskrelay.contract.records.item_lines import item_line
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.outcomes import Outcome
from maskrelay.contract.tables.table_rows import Row, RowContext, mask_rows, running_row
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.rules.visible_line import placed
from worker.context import WorkerContext
from worker.tabulate.final_rows import FINAL
from worker.tabulate.outcome_reader import PlannedItems, new_outcomes, progress_of
from worker.tabulate.running_items import add_running_items
from worker.tabulate.tenant_tables import ResultTables


def add_running_rows(
    context: WorkerContext, submission: Submission, tables: ResultTables, until: float, halted: Halt | None
) -> bool:
    """Add the rows of the frames that have an outcome and no rows yet, and of the items that became complete.

    Return whether frames may be left. The work stops when `until` (monotonic seconds) is over. `halted` says why the
    job ended without a result, if it did. A table that has the final rows of the job already is left as it is: another
    worker has added them meanwhile.
    """
    _add_run(tables.runs, submission, halted)
    more = _add_masks(context, submission, tables.masks, until)
    return add_running_items(context, submission, tables, until) or more


def _add_masks(context: WorkerContext, submission: Submission, masks: DeltaTable, until: float) -> bool:
    rows = RowContext(submission.id, context.settings.public_url, final=False)
    while True:
        snapshot = masks.refresh()
        if snapshot.part_of(submission.id) >= FINAL:
            return False
        progress = progress_of(context, snapshot, submission.id)
        found = new_outcomes(context, submission.id, progress, lambda outcome: bool(outcome.masks))
        if found.outcomes:
            items = PlannedItems(context.storage, submission.id)
            part = TablePart(
                submission.id,
                snapshot.part_of(submission.id) + 1,
                parquet_files(masks.columns, _rows(rows, items, found.outcomes)),
                owned=True,
                tags=found.progress.tags(outcome.frame for outcome in found.outcomes),
            )
            if not masks.add(part):
                return False  # another worker tabulates the job
        if not found.more or time.monotonic() >= until:
            return found.more


def _add_run(runs: DeltaTable, submission: Submission, halted: Halt | None) -> None:
    """Add the row of the job, or replace it if the job was halted."""
    number = runs.refresh().part_of(submission.id)
    if number >= FINAL or (number and halted is None):
        return
    row = running_row(submission, "failed" if halted else "running", halted.code if halted else None)
    files = parquet_files(runs.columns, [row])
    runs.add(TablePart(submission.id, number + 1, files, replaces=True, owned=True))


def _rows(context: RowContext, items: PlannedItems, outcomes: Iterable[Outcome]) -> Iterator[Row]:
    for outcome in outcomes:
        item = items.of_frame(outcome.frame)
        yield from mask_rows(context, item_line(item, (placed(outcome, item),)))
