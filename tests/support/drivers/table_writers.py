"""Processes that add rows to a Delta table, and that can be stopped at any of their calls to the store."""

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from maskrelay.contract.tables.table_rows import Row
from maskrelay.contract.tables.table_schema import Column
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.storage.file_store import FileStorage

COLUMNS = (
    Column("run", "string", "The run.", filtered=True),
    Column("number", "long", "The number of the row in its run.", filtered=True),
    Column("area", "double", "An area.", filtered=True),
    Column("empty", "boolean", "A truth."),
    Column("at", "timestamp", "A time."),
)
PREFIX = "tables/north/masks/"


def table_in(folder: Path) -> DeltaTable:
    return DeltaTable(FileStorage(folder), PREFIX, "masks", COLUMNS)


def rows_of(run: str, numbers: range) -> list[Row]:
    return [
        {"run": run, "number": number, "area": number / 2, "empty": number % 2 == 0, "at": None} for number in numbers
    ]


def part_of(run: str, number: int, rows: int, **more: Any) -> TablePart:
    """Return part `number` of a run, which has `rows` rows in two files."""
    numbers = range((number - 1) * rows, number * rows)
    files = parquet_files(COLUMNS, rows_of(run, numbers), rows_per_file=max(1, rows // 2))
    return TablePart(run, number, files, **more)


def processes() -> ForkServerContext:
    """Return a context whose processes start quickly, because the modules are imported only once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def add_parts(folder: Path, run: str, parts: int, rows: int) -> None:
    """Add the parts of a run, as the function of a process."""
    folder.mkdir(exist_ok=True)
    table = table_in(folder)
    for number in range(1, parts + 1):
        table.add(part_of(run, number, rows))


class StoppingStorage(FileStorage):
    """A store that stops its process for ever before its call number `stop`, which is also after the call before."""

    def __init__(self, root: Path, stop: int, stopped: Connection) -> None:
        super().__init__(root)
        self._left = stop
        self._stopped = stopped

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._stopped.send("stopped")
            time.sleep(600)

    def create(self, *arguments: Any, **named: Any) -> None:
        self._count()
        super().create(*arguments, **named)

    def put(self, *arguments: Any, **named: Any) -> None:
        self._count()
        super().put(*arguments, **named)

    def get(self, *arguments: Any, **named: Any) -> bytes:
        self._count()
        return super().get(*arguments, **named)

    def delete(self, *arguments: Any, **named: Any) -> None:
        self._count()
        super().delete(*arguments, **named)

    def list(self, *arguments: Any, **named: Any) -> Iterator[str]:
        self._count()
        return iter(tuple(super().list(*arguments, **named)))


def add_and_stop(folder: Path, number: int, stop: int, stopped: Connection) -> None:
    """Add part `number` of the run `a`, as the function of a process that stops at its store's call `stop`."""
    storage = StoppingStorage(folder, stop, stopped)
    DeltaTable(storage, PREFIX, "masks", COLUMNS).add(part_of("a", number, 4))
    stopped.send("done")
