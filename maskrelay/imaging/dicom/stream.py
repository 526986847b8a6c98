"""Read the bytes of a source, never past its end and no more often than a valid header requires."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from maskrelay.errors import TagInvalid, Truncated

#: The location of the bytes: in memory, or in a local file that does not change.
Source = bytes | Path

# An enhanced object with nine groups a frame takes 107 reads per frame if its sequences have no length; a million
# reads of a hostile one cost 4 s and 450 MB.
_READS = 1_000_000


class ElementStream:
    """A file object for pydicom that records whether more was requested than there is.

    exact: raise Truncated in that case instead of returning less. Raises TagInvalid after too many reads.
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
        """Return at most `length` bytes; a plain file object would allocate as many as a forged length says."""
        self._reads += 1
        if self._reads > _READS:
            raise TagInvalid("The header has more elements than this service reads.")
        left = self.size - self._inner.tell()
        if left < length and not (left == 0 and length == 8):  # pydicom looks for a next element of 8 bytes
            self.overrun = True
            if self._exact:
                raise Truncated
        return self._inner.read(max(0, left if length < 0 else min(length, left)))


@contextmanager
def opened(source: Source, *, exact: bool = False) -> Iterator[ElementStream]:
    """Yield a separate stream over `source`, at its beginning, so that every thread can have its own."""
    if isinstance(source, bytes):
        yield ElementStream(BytesIO(source), len(source), exact=exact)
        return
    with source.open("rb") as file:
        yield ElementStream(file, source.stat().st_size, exact=exact)
