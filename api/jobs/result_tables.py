"""The masks of a finished job as a table: one row for each mask, as CSV or Parquet.

The rows are made while they are sent, so a table of any length takes little memory.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.dependencies import Dependencies, base_of, caller_of, dependencies_of, in_thread, tenant_of
from api.http.headers import PRIVATE
from api.jobs.lookup import find_job
from api.jobs.stored_reviews import names_of, read_marks, visible_readers
from maskrelay.contract.csv_cells import plain_cell
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import Result
from maskrelay.contract.records.reviews import reader_id
from maskrelay.contract.tables.table_rows import Row, RowContext, mask_rows
from maskrelay.contract.tables.table_schema import MASKS, Column
from maskrelay.errors import NotEnded, NotFound
from maskrelay.storage.stored_records import lines_of, parsed

CSV, PARQUET = "text/csv; charset=utf-8", "application/vnd.apache.parquet"
COLUMNS = (
    *MASKS,
    Column("error_code", "string", "Why the frame has no mask. The row of such a frame has no prompt."),
    Column("review", "string", "Your own verdict on the item: accept or reject."),
    Column("review_grade", "long", "Your own grade of the item, from 1 to 5."),
    Column("review_flag", "boolean", "Whether you have flagged the item."),
    Column("reviews_json", "string", "The reviews of other readers, if you have reviewed the item yourself."),
)
_ROWS_PER_CHUNK = 500
#: Columns for an item, by the number of the item.
ReviewColumns = Callable[[int], Row]


async def send_csv(request: Request, job: str) -> Response:
    """Return the masks of a finished job as CSV, with one row for each mask.

    A frame that failed has one row with its `error_code` and without a prompt. The columns are those of the table
    `masks`, and your reviews. A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets an apostrophe
    in front, so that no spreadsheet runs it as a formula. The Parquet file has every text as it is.
    """
    return await _sent(request, job, "csv", CSV, _csv)


async def send_parquet(request: Request, job: str) -> Response:
    """Return the masks of a finished job as a Parquet file, with the same rows and columns as in CSV."""
    # pyarrow starts a thread when it is imported, and the embedded stack forks from what it has imported.
    from maskrelay.delta.parquet_rows import parquet_chunks  # noqa: PLC0415

    return await _sent(request, job, "parquet", PARQUET, lambda rows: parquet_chunks(COLUMNS, rows))


async def _sent(
    request: Request, job: str, ending: str, media_type: str, written: Callable[[Iterator[Row]], Iterator[bytes]]
) -> Response:
    dependencies = dependencies_of(request)
    known = await in_thread(find_job, dependencies, tenant_of(request), job)
    if known.result is None:
        raise NotFound("The job ended without a result.") if known.terminal else NotEnded
    headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{job}.masks.{ending}"'}
    if getattr(request.state, "head", False):
        return Response(headers=headers, media_type=media_type)
    reviews = await in_thread(_review_columns, dependencies, job, caller_of(request).name)
    rows = _rows(dependencies, known.result, base_of(request), reviews)
    return StreamingResponse(_in_threads(written(rows)), headers=headers, media_type=media_type)


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await in_thread(next, chunks, None)) is not None:
        yield chunk


def _rows(dependencies: Dependencies, result: Result, base: str, reviews: ReviewColumns) -> Iterator[Row]:
    context = RowContext(run=result.job, public_url=base, final=True)
    empty = {column.name: None for column in COLUMNS}
    with closing(dependencies.storage.stream(result.items.key)) as chunks:
        for raw in lines_of(chunks):
            line = parsed(raw, ItemLine, result.items.key)
            more = reviews(line.item)
            for row in mask_rows(context, line):
                yield {**empty, **row, **more}
            for row in _failed_rows(context, line):
                yield {**empty, **row, **more}


def _failed_rows(context: RowContext, line: ItemLine) -> Iterator[Row]:
    for outcome in line.outcomes:
        if outcome.error is not None:
            yield {
                "run": context.run,
                "item": line.item,
                "custom_id": line.custom_id,
                "source_name": outcome.source_name or line.source_name,
                "frame": outcome.index,
                "run_frame": outcome.frame,
                "attempts": outcome.attempts,
                "final": context.final,
                "error_code": outcome.error.code,
            }


def _review_columns(dependencies: Dependencies, job: str, reader: str) -> ReviewColumns:
    """Return a function that gives the columns of the reviews that this reader may see."""
    marks, own = read_marks(dependencies, job), reader_id(reader)
    names = names_of(dependencies, marks, marks) if marks.get(own) else {}

    def columns(item: int) -> Row:
        mark = marks.get(own, {}).get(item)
        if mark is None:
            return {}
        others = {names[other]: marks[other][item].verdict for other in visible_readers(marks, own, item)}
        return {
            "review": mark.verdict,
            "review_grade": mark.grade,
            "review_flag": mark.flag,
            "reviews_json": json.dumps(others, ensure_ascii=False) if others else None,
        }

    return columns


def _csv(rows: Iterator[Row]) -> Iterator[bytes]:
    """Yield a header line and a line for each row. A missing value is empty, and a truth value is true or false."""
    names = [column.name for column in COLUMNS]
    yield _csv_lines([names])
    while some := list(islice(rows, _ROWS_PER_CHUNK)):
        yield _csv_lines([[_csv_value(name, row[name]) for name in names] for row in some])


def _csv_lines(lines: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


def _csv_value(name: str, value: Any) -> Any:
    """Return the value of a cell.

    Run lengths are not text from a caller, and a program could not decode them with an apostrophe in front.
    """
    if isinstance(value, bool):
        return str(value).lower()
    return value if name == "rle_counts" else plain_cell(value)
