"""Reading of the bytes of a source. A read never goes beyond the end, and the number of reads is limited."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from maskrelay.errors import TagInvalid, Truncated

#: A source: bytes in memory, or the path of a local file that does not change.
Source = bytes | Path

#: The largest number of reads of a source. An enhanced object with nine functional groups per frame takes 107 reads per
#: frame if its sequences have no length. For a malicious object, a million reads take 4 s and 450 MB.
_READS = 1_000_000


class ElementStream:
    """A file object for pydicom that records in `overrun` whether a read asked for bytes beyond the end.

    If `exact` is true, such a read raises Truncated. Otherwise, it returns fewer bytes than requested. After too many
    reads, `read` raises TagInvalid.
    """

    def __init__(self, inner: BinaryIO, size: int, *, exact: bool = False) -> None:
        self._inner = inner
        self._exact = exact
        self._reads = 0
        self.size = size
        self.overrun = False
        self.tell = inner.tell
        self.seek = inner.seek

    def read(self, length: int = -1) -> bytes:
        """Return at most `length` bytes.

        The memory that this takes is limited by the size of the source. A plain file object would allocate whatever
        length a forged header declares.
        """
        self._reads += 1
        if self._reads > _READS:
            raise TagInvalid("The header has more elements than this service reads.")
        left = self.size - self._inner.tell()
        if left < length and not (left == 0 and length == 8):  # 8 bytes at the end: pydicom looks for another element
            self.overrun = True
            if self._exact:
                raise Truncated
        return self._inner.read(max(0, left if length < 0 else min(length, left)))


@contextmanager
def opened(source: Source, *, exact: bool = False) -> Iterator[ElementStream]:
    """Yield a new stream at the beginning of `source`. Every thread must have its own stream."""
    if isinstance(source, bytes):
        yield ElementStream(BytesIO(source), len(source), exact=exact)
        return
    with source.open("rb") as file:
        yield ElementStream(file, source.stat().st_size, exact=exact)
