"""The user's inputs as named files for upload. Files on disk are read while they are sent."""

import contextlib
import hashlib
import mimetypes
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from maskrelay.client.arrays import is_array, is_image, png_of_array, png_of_image
from maskrelay.errors import OptionInvalid, SourceMissing


class Array(Protocol):
    """A NumPy array, or another object with the same array interface."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


class Image(Protocol):
    """A Pillow image."""

    mode: str

    def save(self, *arguments: Any, **options: Any) -> None: ...


#: What a caller may submit: a path, the bytes of a file, a binary file object, a NumPy array (one image), or a Pillow
#: image.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Array | Image
#: The largest number of files, and the largest number of bytes in total, that are sent within the request of a job.
_TOGETHER_FILES, _TOGETHER_BYTES = 20, 64 << 20
#: The same for one of the requests with uploads.
_BATCH_FILES, _BATCH_BYTES = 100, 64 << 20
_TAKEN = "a path, bytes, a binary file object, a NumPy array or a Pillow image"
Part = tuple[str, tuple[str, IO[bytes] | bytes, str]]


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A file to send.

    The name of a file on disk is its path relative to the deepest folder that contains all given files. The name of
    other content contains only its number.
    """

    name: str
    content: Path | bytes

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    @property
    def content_type(self) -> str:
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    def sha256(self) -> str:
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        with self.content.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()


def sources_of(given: Source | Sequence[Source]) -> list[NamedSource]:
    """Return the file of one source, or the files of a sequence of sources in the same order.

    Raises SourceMissing for the first path that is not a file, and OptionInvalid for an unsupported type.
    """
    several: Sequence[Any] = [given] if _is_one(given) else list(given)  # type: ignore[arg-type]
    contents = [_content(source, number) for number, source in enumerate(several)]
    names = _names([content for content in contents if isinstance(content, Path)])
    return [
        NamedSource(names[content], content)
        if isinstance(content, Path)
        else NamedSource(_own_name(n, several), content)
        for n, content in enumerate(contents)
    ]


def together(sources: Sequence[NamedSource]) -> bool:
    """Return whether the sources are few and small enough for one request."""
    return len(sources) <= _TOGETHER_FILES and sum(source.size for source in sources) <= _TOGETHER_BYTES


def batches(sources: Iterable[NamedSource]) -> Iterator[list[NamedSource]]:
    """Yield lists of as many sources as fit in one request, in order. A source that is too large gets its own list."""
    batch: list[NamedSource] = []
    size = 0
    for source in sources:
        if batch and (len(batch) == _BATCH_FILES or size + source.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += source.size
    if batch:
        yield batch


@contextlib.contextmanager
def parts(sources: Sequence[NamedSource]) -> Iterator[list[Part]]:
    """Yield parts of a multipart form, all named `image`. The files stay open until the block ends."""
    with contextlib.ExitStack() as opened:
        made: list[Part] = []
        for source in sources:
            content = source.content
            body = opened.enter_context(content.open("rb")) if isinstance(content, Path) else content
            made.append(("image", (source.name, body, source.content_type)))
        yield made


def _is_one(given: Any) -> bool:
    """Return whether the value is one source, and not a sequence of sources."""
    single = isinstance(given, str | os.PathLike | bytes | bytearray | memoryview)
    return single or is_image(given) or is_array(given) or hasattr(given, "read") or not hasattr(given, "__iter__")


def _content(source: Any, number: int) -> Path | bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if is_image(source):
        return png_of_image(source)
    if is_array(source):
        return png_of_array(source)
    if hasattr(source, "read"):
        read = source.read()
        if not isinstance(read, bytes):
            raise OptionInvalid(f"Source {number} is a file opened as text; open it in binary mode.")
        return read
    if isinstance(source, str | os.PathLike):
        return _file(Path(source))
    raise OptionInvalid(f"Source {number} is of type {type(source).__name__}; it must be {_TAKEN}.")


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    what = "is a folder; name the files in it" if path.is_dir() else "does not exist or is not a file"
    raise SourceMissing(f"{path} {what}")


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return each path relative to the deepest folder that contains all paths.

    The names of higher folders are not sent.
    """
    if not paths:
        return {}
    whole = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100 - resolve() would follow links
    shared = Path(os.path.commonpath([path.parent for path in whole.values()]))
    return {path: _text(full.relative_to(shared).as_posix()) for path, full in whole.items()}


def _text(name: str) -> str:
    """Return the name of a file as text. A name that is not UTF-8 is read as the service reads it, as Windows-1252."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("cp1252", "replace")
    return name


def _own_name(number: int, several: Sequence[Any]) -> str:
    """Return the name of a source without a path. An array or a Pillow image is sent as PNG."""
    is_png = is_image(several[number]) or is_array(several[number])
    return f"image-{number}.png" if is_png else f"image-{number}"
