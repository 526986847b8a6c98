"""Files on their way to the service: read from disk while they are sent, never whole in memory."""

import contextlib
import mimetypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from maskrelay.errors import SourceMissing

#: A path, or the bytes of a file.
Source = Path | bytes
#: Up to this many files and bytes go with the submission itself; more are uploaded one by one before it.
_TOGETHER_FILES, _TOGETHER_BYTES = 20, 64 << 20
Part = tuple[str, tuple[str, IO[bytes] | bytes, str]]


def check(sources: Sequence[Source]) -> None:
    """Raise SourceMissing for the first path that is not a readable file."""
    for source in sources:
        if isinstance(source, Path) and not source.is_file():
            what = "is a folder; name the files in it" if source.is_dir() else "does not exist or is not a file"
            raise SourceMissing(f"{source} {what}")


def together(sources: Sequence[Source]) -> bool:
    """Whether the sources are few and small enough for one request."""
    if len(sources) > _TOGETHER_FILES:
        return False
    return sum(_size(source) for source in sources) <= _TOGETHER_BYTES


@contextlib.contextmanager
def parts(sources: Sequence[Source], first: int = 0) -> Iterator[list[Part]]:
    """Form parts named `image`, their files open as long as the block; bytes are named by their number from `first`."""
    with contextlib.ExitStack() as opened:
        made: list[Part] = []
        for number, source in enumerate(sources, first):
            if isinstance(source, bytes):
                made.append(("image", (f"image-{number}", source, "application/octet-stream")))
            else:
                kind = mimetypes.guess_type(source.name)[0] or "application/octet-stream"
                made.append(("image", (source.name, opened.enter_context(source.open("rb")), kind)))
        yield made


def _size(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size
