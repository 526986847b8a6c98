"""A spool for lines that are needed later. It keeps them in memory first, then in a temporary file of limited size."""

import tempfile
from typing import BinaryIO

#: The number of bytes of lines that are kept in memory. When there are more, they are moved to the file.
MEMORY_BYTES = 8 << 20
#: The largest size of the temporary file of one spool, in bytes.
FILE_BYTES = 2 << 30
#: The value that stands for the position of a line that was not stored.
NOWHERE = -1


class LineSpool:
    """An append-only store of lines, which can be read by their positions.

    Use it from one thread only. The temporary file has no name, so the system removes it when the process ends. When
    the file or its disk is full, further lines are not stored.
    """

    def __init__(self, most_bytes: int = FILE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = bytearray()
        self._file: BinaryIO | None = None
        self._filed = 0

    def add(self, line: bytes) -> int:
        """Append a line. Return its position, or NOWHERE if the spool is full."""
        place = self._filed + len(self._held)
        if place + len(line) > self._most_bytes or (len(self._held) + len(line) > MEMORY_BYTES and not self._spill()):
            self._most_bytes = 0
            return NOWHERE
        place = self._filed + len(self._held)
        self._held += line
        return place

    def read(self, place: int, length: int) -> bytes:
        """Return the line of this length at position `place`."""
        if place >= self._filed:
            start = place - self._filed
            return bytes(self._held[start : start + length])
        assert self._file is not None
        self._file.seek(place)
        return self._file.read(length)

    def close(self) -> None:
        """Free the memory and the disk space."""
        if self._file is not None:
            self._file.close()
        self._held.clear()

    def __del__(self) -> None:
        self.close()

    def _spill(self) -> bool:
        """Move the lines in memory to the file. Return False if there is no space for them."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the spool
            self._file.seek(self._filed)
            rest = memoryview(self._held)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            return False
        self._filed += len(self._held)
        self._held = bytearray()
        return True
