"""The rows of a manifest in NDJSON, CSV or Parquet, one at a time, from any row on."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from maskrelay.contract.json_text import read_json_text
from maskrelay.contract.line_splitter import LineSplitter
from maskrelay.contract.records.runs import ManifestFormat
from maskrelay.errors import LineInvalid, ManifestInvalid
from maskrelay.rules.item_options import OF_WHOLE_JOB, ItemOptionsAsked, of_whole_job
from maskrelay.rules.run_lines import LINE_BYTES, line_value

#: The columns with the options of an item.
_OPTIONS = tuple(ItemOptionsAsked.model_fields)
#: The columns that a manifest may have.
COLUMNS = ("custom_id", "source", "credential", "prompts", *_OPTIONS)
_ENDINGS: dict[str, ManifestFormat] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".parquet": "parquet",
}
#: A function that yields the bytes of the manifest from an offset on, and at most as many as its second argument says.
ReadFrom = Callable[[int, int | None], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A row of a manifest."""

    #: The number of the line, counted from 1. In a Parquet file, it is the number of the row.
    line: int
    #: The members of the row as in NDJSON, or the error for which it is rejected.
    value: Any
    #: The place in the manifest after this row.
    after: str


def format_of(url: str) -> ManifestFormat | None:
    """Return the format of a manifest with this name, or None if its ending is unknown."""
    return next((kind for ending, kind in _ENDINGS.items() if url.lower().endswith(ending)), None)


def read_rows(read: ReadFrom, size: int, kind: ManifestFormat, after: str | None = None) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest of `size` bytes, from the place `after` on.

    Raises ManifestInvalid if the manifest is not of this format, or does not have the columns of a manifest.
    """
    if kind == "parquet":
        from maskrelay.sources.parquet_manifest import read_parquet  # noqa: PLC0415 - most jobs do not need pyarrow

        for number, row in read_parquet(read, size, check_columns, int(after or 0)):
            yield ManifestRow(number, _typed(row), str(number))
    elif kind == "csv":
        yield from _csv(read, after)
    else:
        yield from _lines(read, after)


def check_columns(names: Sequence[str]) -> None:
    """Raise ManifestInvalid if a manifest cannot have these columns."""
    if "source" not in names:
        raise ManifestInvalid(f"The manifest has no column `source`. Its columns may be {', '.join(COLUMNS)}.")
    for name in OF_WHOLE_JOB.intersection(names):
        raise ManifestInvalid(f"The manifest has a column `{name}`. {of_whole_job(name)}")
    if len(set(names)) != len(names) or not set(names) <= set(COLUMNS):
        raise ManifestInvalid(f"The manifest has a column twice, or one that is none of {', '.join(COLUMNS)}.")


class _Lines:
    """The lines of a text from an offset on. They can be requested further after an error."""

    def __init__(self, chunks: Iterator[bytes], offset: int, number: int) -> None:
        self._splitter = LineSplitter(LINE_BYTES)
        self._start = offset
        self._found = self._split(chunks)
        #: The number of the line that was returned last.
        self.number = number

    @property
    def place(self) -> str:
        """The place after the line that was returned last."""
        return f"{self._start + self._splitter.offset} {self.number}"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next line. Raises LineInvalid if it is too long."""
        line = next(self._found)
        self.number += 1
        if line is None:
            raise LineInvalid(f"A line may have at most {LINE_BYTES} bytes.")
        return line

    def _split(self, chunks: Iterator[bytes]) -> Iterator[bytes | None]:
        for chunk in chunks:
            yield from self._splitter.feed(chunk)
        yield from self._splitter.close()


def _lines(read: ReadFrom, after: str | None) -> Iterator[ManifestRow]:
    offset, number = map(int, after.split()) if after else (0, 0)
    lines, is_first = _Lines(read(offset, None), offset, number), after is None
    while True:
        try:
            line = next(lines)
            if not line.strip():
                continue
            value = line_value(line)
        except StopIteration:
            return
        except LineInvalid as error:
            if is_first:
                raise ManifestInvalid(f"Line {lines.number} is not a JSON object, so this is not NDJSON.") from None
            value = error
        is_first = False
        yield ManifestRow(lines.number, value, lines.place)


class _Texts:
    """The lines of a CSV file as text, each with its end."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._lines).decode() + "\n"
        except UnicodeDecodeError:
            raise LineInvalid("The line is not UTF-8 text.") from None


def _csv(read: ReadFrom, after: str | None) -> Iterator[ManifestRow]:
    """Yield the rows of a CSV file with a header (RFC 4180)."""
    names, begin = _header(read)
    offset, number = map(int, (after or begin).split())
    lines = _Lines(read(offset, None), offset, number)
    reader = csv.reader(_Texts(lines), strict=True)
    while True:
        first = lines.number + 1
        value: Any
        try:
            cells = next(reader)
            if not any(cells):
                continue
            value = _members(names, cells)
        except StopIteration:
            return
        except csv.Error:
            value = LineInvalid("The row is not valid CSV.")
        except LineInvalid as error:
            value = error
        yield ManifestRow(first, value, lines.place)


def _header(read: ReadFrom) -> tuple[list[str], str]:
    """Return the names of the columns, and the place after the header."""
    lines = _Lines(read(0, None), 0, 0)
    try:
        names = next(csv.reader(_Texts(lines), strict=True), [])
    except (csv.Error, LineInvalid):
        raise ManifestInvalid("Line 1 is not the header of a CSV file.") from None
    names = [name.removeprefix("\ufeff").strip() for name in names]
    check_columns(names)
    return names, lines.place


def _members(names: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(names):
        raise LineInvalid(f"The row has {len(cells)} values for {len(names)} columns.")
    return _typed({name: cell for name, cell in zip(names, cells, strict=True) if cell})


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a row as in NDJSON. Its columns with options become the member `options`."""
    prompts, custom_id = row.get("prompts"), row.get("custom_id")
    options = {name: option for name in _OPTIONS if (option := _option(name, row.get(name))) is not None}
    row = {name: value for name, value in row.items() if name not in _OPTIONS}
    if options:
        row["options"] = options
    if isinstance(custom_id, int):
        row["custom_id"] = str(custom_id)
    if isinstance(prompts, str):
        row["prompts"] = _listed(prompts)
    return row


def _listed(text: str) -> Any:
    """Return a list that is a JSON list as text, or text with semicolons."""
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return [part.strip() for part in text.split(";")]


def _option(name: str, value: Any) -> Any:
    """Return the value of an option, or None if the cell is empty. A cell that is text is JSON or plain text.

    Programs that have no missing integers write a column with empty cells as floats, so these are accepted as integers.
    """
    if isinstance(value, str):
        if not value.strip():
            return None
        if name == "outputs":
            return _listed(value)
        try:
            value = read_json_text(value)
        except (ValueError, RecursionError):
            return value.strip()
    return int(value) if isinstance(value, float) and value.is_integer() else value
