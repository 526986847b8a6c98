"""The splitting of a text that arrives in chunks into its lines, with a limit on the length of a line."""

from collections.abc import Iterator


class LineSplitter:
    """A splitter that holds at most one line, of at most `longest` bytes.

    A line ends with a line feed, which is not part of the line. Nothing is held of a line that is longer, and None is
    yielded instead of it.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._held = bytearray()
        self._is_too_long = False
        #: The number of bytes up to the end of the line that was yielded last, with its line feed.
        self.offset = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the lines that end in this chunk. Exhaust the iterator before the next call."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._hold(end)
            self.offset += 1
            yield self._line()
        self._hold(rest)

    def close(self) -> Iterator[bytes | None]:
        """Yield the last line if it does not end with a line feed."""
        if self._held or self._is_too_long:
            yield self._line()

    def _hold(self, piece: bytes) -> None:
        self.offset += len(piece)
        if len(self._held) + len(piece) > self._longest:
            self._is_too_long = True
        if self._is_too_long:
            self._held.clear()
        else:
            self._held += piece

    def _line(self) -> bytes | None:
        line = None if self._is_too_long else bytes(self._held)
        self._held.clear()
        self._is_too_long = False
        return line
