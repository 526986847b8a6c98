"""The rows of a manifest in NDJSON, CSV or Parquet, one at a time, from any row on."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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
_NO_CSV = "The row is not valid CSV. A quotation mark in a value is written twice."
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
            yield ManifestRow(number, row if isinstance(row, LineInvalid) else _typed(row), str(number))
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
    """The lines of a CSV file as text, each with its end.

    It holds the lines of one row, so that all lines but the first can be read again if the row is not valid.
    """

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._begin = (lines.number, lines.place)
        #: The lines of the row, and those that are read again. Each has its text or its error, its number and its end.
        self._row: list[tuple[str | LineInvalid, int, str]] = []
        self._length = 0
        self._again: deque[tuple[str | LineInvalid, int, str]] = deque()

    @property
    def place(self) -> str:
        """The place after the row."""
        return self._row[-1][2] if self._row else self._begin[1]

    @property
    def first(self) -> int:
        """The number of the first line of the next row."""
        return (self._row[-1][1] if self._row else self._begin[0]) + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._row.append(self._again.popleft() if self._again else self._read())
        text = self._row[-1][0]
        if isinstance(text, LineInvalid):
            raise text
        self._length += len(text)
        if self._length > LINE_BYTES + 1 and len(self._row) > 1:
            raise LineInvalid(f"A row may have at most {LINE_BYTES} characters.")
        return text

    def begin_row(self) -> None:
        """Forget the lines of the last row."""
        self._begin = (self.first - 1, self.place)
        self._row, self._length = [], 0

    def keep_first(self) -> bool:
        """Read all lines of the row but the first again. Return whether there are any."""
        self._again.extendleft(reversed(self._row[1:]))
        has_more = len(self._row) > 1
        del self._row[1:]
        return has_more

    def _read(self) -> tuple[str | LineInvalid, int, str]:
        text: str | LineInvalid
        try:
            text = next(self._lines).decode() + "\n"
        except UnicodeDecodeError:
            text = LineInvalid("The line is not UTF-8 text.")
        except LineInvalid as error:
            text = error
        return text, self._lines.number, self._lines.place


def _csv(read: ReadFrom, after: str | None) -> Iterator[ManifestRow]:
    """Yield the rows of a CSV file with a header (RFC 4180).

    A row that is not valid ends with its first line. Otherwise, a stray quotation mark would hide the rows after it.
    """
    names, begin = _header(read)
    offset, number = map(int, (after or begin).split())
    texts = _Texts(_Lines(read(offset, None), offset, number))
    reader = csv.reader(texts, strict=True)
    while True:
        texts.begin_row()
        first = texts.first
        value: Any
        try:
            cells = next(reader)
            if not any(cells):
                continue
            value = _members(names, cells)
        except StopIteration:
            return
        except (csv.Error, LineInvalid) as error:
            is_split = texts.keep_first()
            value = error if isinstance(error, LineInvalid) and not is_split else LineInvalid(_NO_CSV)
        yield ManifestRow(first, value, texts.place)


def _header(read: ReadFrom) -> tuple[list[str], str]:
    """Return the names of the columns, and the place after the header."""
    lines = _Lines(read(0, None), 0, 0)
    texts = (text.removeprefix("\ufeff") for text in _Texts(lines))
    try:
        names = next(csv.reader(texts, strict=True), [])
    except (csv.Error, LineInvalid):
        raise ManifestInvalid("Line 1 is not the header of a CSV file.") from None
    names = [name.strip() for name in names]
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
    """Return a list that is a JSON list as text, or text with semicolons.

    Text in brackets that is not JSON, such as a list of Python, is returned as it is, so that the row is rejected.
    """
    text = text.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            if text.endswith("]"):
                return text
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
