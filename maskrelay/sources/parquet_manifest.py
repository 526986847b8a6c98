"""The rows of a manifest in Parquet. Only the pages that are needed are read from the store, a few at a time."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from maskrelay.errors import LineInvalid, ManifestInvalid

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise ManifestInvalid("This service cannot read Parquet, because pyarrow is not installed.") from None

#: The number of rows that are in memory, and of bytes that are read of a column at once.
_ROWS, _BUFFER_BYTES = 1000, 1 << 20


class _SourceFile(io.RawIOBase):
    """A file whose bytes are read from a store where they are needed."""

    def __init__(self, read: Callable[[int, int | None], Iterator[bytes]], size: int) -> None:
        self._read = read
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._place)
        wanted = left if size < 0 else min(size, left)
        content = b"".join(self._read(self._place, wanted)) if wanted else b""
        self._place += len(content)
        return content


def read_parquet(
    read: Callable[[int, int | None], Iterator[bytes]],
    size: int,
    check_columns: Callable[[Sequence[str]], None],
    after: int,
) -> Iterator[tuple[int, dict[str, Any] | LineInvalid]]:
    """Yield the rows after row `after` with their numbers, counted from 1. Raises ManifestInvalid.

    A row with a value that Python has no form for is the error for which it is rejected.
    """
    try:
        # With `pre_buffer`, pyarrow would read whole row groups, and keep all of them in memory until the end.
        file = pq.ParquetFile(_SourceFile(read, size), buffer_size=_BUFFER_BYTES, pre_buffer=False)
        check_columns(file.schema_arrow.names)
        number, groups = _groups_after(file, after)
        for batch in file.iter_batches(batch_size=_ROWS, row_groups=groups):
            skip = min(max(0, after - number), batch.num_rows)
            number += skip
            for row in _values(batch.slice(skip)):
                number += 1
                yield number, row
    except (pa.ArrowException, OSError):
        raise ManifestInvalid("The manifest is not a Parquet file, or it is damaged.") from None


def _values(batch: Any) -> list[dict[str, Any] | LineInvalid]:
    """Return the rows of a batch, without missing values."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):  # for example, text that is not UTF-8, or a date after the year 9999
        if batch.num_rows == 1:
            return [LineInvalid("A value of the row cannot be read.")]
        return [row for place in range(batch.num_rows) for row in _values(batch.slice(place, 1))]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _groups_after(file: Any, after: int) -> tuple[int, list[int]]:
    """Return the number of rows before the row group of the next row, and the row groups from there on."""
    number = 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if number + rows > after:
            return number, list(range(group, file.metadata.num_row_groups))
        number += rows
    return number, []
