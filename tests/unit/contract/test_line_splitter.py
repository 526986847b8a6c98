"""Lines are found wherever the chunks of a text end, and a long line is not held."""

import pytest

from maskrelay.contract.line_splitter import LineSplitter

TEXT = b"one\n\ntwo is longer\r\n" + b"x" * 40 + b"\nlast"
LINES = [b"one", b"", b"two is longer\r", None, b"last"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, len(TEXT)])
def test_lines_do_not_depend_on_the_chunks(size: int) -> None:
    splitter = LineSplitter(20)
    found = [line for at in range(0, len(TEXT), size) for line in splitter.feed(TEXT[at : at + size])]
    assert [*found, *splitter.close()] == LINES


@pytest.mark.parametrize(("text", "lines"), [(b"", []), (b"a\n", [b"a"]), (b"\n", [b""]), (b"x" * 21, [None])])
def test_the_last_line_needs_no_line_feed(text: bytes, lines: list[bytes | None]) -> None:
    splitter = LineSplitter(20)
    assert [*splitter.feed(text), *splitter.close()] == lines
