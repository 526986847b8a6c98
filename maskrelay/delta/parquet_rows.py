"""Rows as Parquet files, with the statistics that a Delta table has about each file."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from maskrelay.contract.tables.table_rows import Row
from maskrelay.contract.tables.table_schema import Column, ColumnType

#: The number of rows in each file, and of bytes before they are compressed, so that a file is made in little memory and
#: is stored in time. A mask with many small parts has run lengths of several kilobytes.
ROWS_PER_FILE, BYTES_PER_FILE = 100_000, 64 << 20
#: The number of rows that are Python objects at a time.
_BATCH = 2_000
#: Texts with more characters get no minimum and maximum, because a shortened maximum could be too small.
_LONGEST_TEXT = 128
_TYPES: dict[ColumnType, Any] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file, and the statistics about its rows as JSON text in the form of the Delta protocol."""

    body: bytes
    rows: int
    stats: str


@dataclass(slots=True)
class _Statistics:
    """The number of rows, and the least value, the greatest value and the number of nulls of each filtered column."""

    columns: Sequence[Column]
    rows: int = 0
    least: dict[str, Any] = field(default_factory=dict)
    greatest: dict[str, Any] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    #: The columns with a text that is too long.
    unbounded: set[str] = field(default_factory=set)

    def add(self, batch: Any) -> None:
        self.rows += batch.num_rows
        for column in self.columns:
            if column.filtered:
                self._add(column, batch.column(column.name))

    def _add(self, column: Column, values: Any) -> None:
        name = column.name
        self.nulls[name] = self.nulls.get(name, 0) + values.null_count
        if values.null_count == len(values):
            return
        found = pc.min_max(values).as_py()
        if column.type == "string" and pc.max(pc.utf8_length(values)).as_py() > _LONGEST_TEXT:
            self.unbounded.add(name)
        self.least[name] = min(self.least.get(name, found["min"]), found["min"])
        self.greatest[name] = max(self.greatest.get(name, found["max"]), found["max"])

    def text(self) -> str:
        bounds = [
            {name: value for name, value in values.items() if name not in self.unbounded}
            for values in (self.least, self.greatest)
        ]
        stats = {"numRecords": self.rows, "minValues": bounds[0], "maxValues": bounds[1], "nullCount": self.nulls}
        return json.dumps(stats, ensure_ascii=False, separators=(",", ":"))


def parquet_files(
    columns: Sequence[Column],
    rows: Iterable[Row],
    *,
    rows_per_file: int = ROWS_PER_FILE,
    bytes_per_file: int = BYTES_PER_FILE,
) -> Iterator[ParquetFile]:
    """Yield the rows as Parquet files of at most `rows_per_file` rows. Without rows, there is no file.

    A file ends after the group of rows with which it has `bytes_per_file` bytes.

    The rows are taken as they are needed, so neither they nor the files are in memory all at once.
    """
    left = iter(rows)
    schema = _schema(columns)
    while first := list(islice(left, min(_BATCH, rows_per_file))):
        yield _file(columns, schema, first, islice(left, rows_per_file - len(first)), bytes_per_file)


def parquet_chunks(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield the bytes of one Parquet file with all rows, as they are made. Only one group of rows is in memory."""
    schema, sink, left = _schema(columns), _Sink(), iter(rows)
    with pq.ParquetWriter(sink, schema, **_OPTIONS) as writer:
        while some := list(islice(left, _BATCH)):
            writer.write_batch(_batch(columns, schema, some))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that keeps what was written to it until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any) -> int:
        self._written.append(bytes(chunk))
        return len(chunk)

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        taken, self._written = b"".join(self._written), []
        return taken


def rewritten(columns: Sequence[Column], bodies: Sequence[bytes]) -> ParquetFile:
    """Return the rows of these Parquet files as one file. A column that a file does not have is null in its rows."""
    schema, statistics, body = _schema(columns), _Statistics(columns), io.BytesIO()
    with pq.ParquetWriter(body, schema, **_OPTIONS) as writer:
        for old in bodies:
            table = pq.read_table(io.BytesIO(old))
            whole = pa.table(
                {
                    entry.name: table.column(entry.name)
                    if entry.name in table.column_names
                    else pa.nulls(table.num_rows, entry.type)
                    for entry in schema
                },
                schema=schema,
            )
            statistics.add(whole)
            writer.write_table(whole)
    return ParquetFile(body.getvalue(), statistics.rows, statistics.text())


#: Zstandard at its lowest level: RLE texts shrink by half, for little time. A dictionary would not fit unique texts.
_OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "write_statistics": True}


def _schema(columns: Sequence[Column]) -> Any:
    return pa.schema([pa.field(column.name, _TYPES[column.type]) for column in columns])


def _file(columns: Sequence[Column], schema: Any, first: list[Row], rest: Iterator[Row], most: int) -> ParquetFile:
    statistics, body = _Statistics(columns), io.BytesIO()
    with pq.ParquetWriter(body, schema, **_OPTIONS) as writer:
        batch = first or list(islice(rest, _BATCH))
        held: list[Any] = []
        while batch:
            held.append(_batch(columns, schema, batch))
            statistics.add(held[-1])
            most -= held[-1].nbytes
            batch = list(islice(rest, _BATCH)) if most > 0 else []
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))
    return ParquetFile(body.getvalue(), statistics.rows, statistics.text())


def _batch(columns: Sequence[Column], schema: Any, rows: Sequence[Row]) -> Any:
    arrays = [
        pa.array([row[column.name] for row in rows], _TYPES[column.type], from_pandas=False) for column in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
