"""Render the page of the result tables as Markdown from their columns. Run by `make docs`."""  # noqa: INP001

from collections.abc import Iterator

from maskrelay.contract.tables.table_schema import TABLES, Column

_ABOUT = {
    "masks": "One row for each frame and prompt. A frame that failed has no rows.",
    "segments": "One row for each item and prompt.",
    "items": "One row for each item, with its geometry, its errors and its versions.",
    "runs": "One row for each job.",
}
_INTRODUCTION = """\
A job with `table` among its `outputs` adds its results to four tables of the tenant: `masks`, `segments`, `items` and
`runs`. They are [Delta tables](https://delta.io) in object storage, so you open them as they are, with DuckDB, Polars,
pandas, Spark, Databricks, Fabric or BigQuery. [Work with the tables](../howto/tables.md) shows how."""
_RULES = """\
- While a job runs, rows are added about once a minute, with `final` false: to `masks` for each new frame, and to
  `segments` and `items` for each item whose frames are all done. Links to files of whole items are missing there. When
  the job has ended, its final rows replace these in one step for each table. The row of `runs` is replaced last, so if
  it has `final` true, all rows of the job are there.
- Every row is there exactly once, whatever was repeated, killed or lost meanwhile: the log of a table records which
  part of which job it contains.
- Rows stay when the job is deleted or expires. [How to remove them](../howto/tables.md#remove-rows).
- Every column is flat. The name of a column with JSON text ends in `_json`.
- A column is never renamed, and its type never changes. New columns are added at the end.
- UIDs are in the form that the option `identifiers` chose: as they are, as keyed hashes, as your site's own pseudonyms,
  or left out (null). With pseudonyms, the tables [join your other
  tables](../howto/tables.md#join-your-own-tables).
- Names are those of the index of the NCI Imaging Data Commons (IDC) where it has a column for the value."""
_FORMAT = """\
The tables have reader version 1 and writer version 2 of the Delta protocol, no partitions, and statistics about the
columns in bold, by which readers skip files. A commit is one object, `_delta_log/{version}.json`, which is created only
if it does not exist. Each commit of rows has a `txn` action with the job as `appId`. Every 20 commits, a checkpoint is
written. Small files are merged in commits that change no data. A file is deleted two days after it was removed from the
table, and a version of the log after 30 days. A file that an interrupted commit has left is deleted when rows of the
same job are added again.

Only this service may write to the tables. If another program commits to one of them, the service adds no more rows to
it, and reports `table_foreign_commit` in its log until that commit is gone. The other errors are
`table_protocol_unsupported`, `table_schema_different` and `table_log_damaged`. Jobs are not affected: their rows are
added when the table can be used again."""


def tables_blocks() -> Iterator[str]:
    """Yield the blocks of the page."""
    yield _INTRODUCTION
    yield _RULES
    yield "## Format"
    yield _FORMAT
    for name, columns in TABLES.items():
        yield f"## {name}"
        yield _ABOUT[name]
        yield "\n".join(["| Column | Type | Meaning |", "| --- | --- | --- |", *map(_row, columns)])


def _row(column: Column) -> str:
    name = f"**`{column.name}`**" if column.filtered else f"`{column.name}`"
    return f"| {name} | {column.type} | {column.about} |"
