"""A reader of files in folders that are mounted in every worker.

A file is opened only if its real path, after all symbolic links are followed, is below a prefix of the tenant.
"""

import errno
import os
import stat as modes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from maskrelay.contract.records.result_names import is_result, is_temporary
from maskrelay.contract.records.source_pins import Pin
from maskrelay.errors import SourceChanged, SourceForbidden, SourceInvalid, SourceNotFound, SourceUnavailable
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.sources.source_urls import read_source_url

CHUNK_BYTES = 1 << 20


class FileReader:
    """A reader of files below the folders `roots`. See `SourceReader`.

    The ETag of a file consists of its number in the file system, its size and the time of its last change.
    """

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = [read_source_url(root).file_path for root in roots]

    def stat(self, url: str) -> SourceFacts:
        with self._opened(url) as file:
            return _facts(url, os.fstat(file))

    def stream(self, url: str, pin: Pin, start: int, length: int) -> Iterator[bytes]:
        with self._opened(url) as file:
            _check(file, url, pin)
            while length > 0:
                with _errors():
                    chunk = os.pread(file, min(CHUNK_BYTES, length), start)
                # The file is compared after each chunk, because a program may write into it at any time.
                _check(file, url, pin)
                if not chunk:
                    raise SourceChanged
                yield chunk
                start, length = start + len(chunk), length - len(chunk)

    def is_collection(self, url: str) -> bool:
        return url.endswith("/")

    def list(self, url: str, after: str | None, *, pinned: bool = True) -> Iterator[SourceFacts]:
        yield from self._below(read_source_url(url).file_path, url, after, all_or_none=pinned)

    def _inside(self, folder: str, url: str, after: str | None, *, all_or_none: bool) -> Iterator[SourceFacts]:
        """Yield the files below a folder that was found in a listing."""
        with suppress(SourceNotFound):  # it was removed in the meantime
            try:
                yield from self._below(folder, url, after, all_or_none=all_or_none)
            except SourceForbidden:
                if all_or_none:
                    raise
                yield SourceFacts(url, 0, None)

    def _below(self, folder: str, url: str, after: str | None, *, all_or_none: bool) -> Iterator[SourceFacts]:
        """Yield the files below a folder, whose URL is `url`."""
        with _errors():
            self._real(folder)
            # The order is that of the URLs: `a.png` comes before `a/b.png`.
            entries = sorted(os.scandir(folder), key=lambda entry: _encoded(entry.name) + "/" * _is_folder(entry))
        for entry in entries:
            if is_temporary(entry.name):  # a result that this service is writing beside its source
                continue
            here = url + _encoded(entry.name)
            if _is_folder(entry):
                is_later = after is None or f"{here}/" >= after or after.startswith(f"{here}/")
                if is_later and not entry.is_symlink():  # a link to a folder above would never end
                    yield from self._inside(entry.path, f"{here}/", after, all_or_none=all_or_none)
            elif not is_result(entry.name) and (after is None or here > after):  # a result is not even opened
                with suppress(SourceNotFound, SourceForbidden):  # a file that is gone, or is not a regular file
                    yield self._listed(here, entry)

    def _listed(self, url: str, entry: os.DirEntry[str]) -> SourceFacts:
        """Return the facts of a file. If its URL is too long, the file is listed, but reading it is refused."""
        try:
            return self.stat(url)
        except SourceInvalid:
            with _errors():
                return _facts(url, entry.stat())

    @contextmanager
    def _opened(self, url: str) -> Iterator[int]:
        with _errors():
            path = self._real(read_source_url(url).file_path)
            file = _open_without_links(path)
        try:
            with _errors():
                if not modes.S_ISREG(os.fstat(file).st_mode):
                    raise SourceForbidden("the source is not a file")
            yield file
        finally:
            os.close(file)

    def _real(self, path: str) -> str:
        """Return the real path. Raises SourceForbidden if it is outside of the roots."""
        real = os.path.realpath(path)
        for root in self._roots:
            if os.path.commonpath([real, os.path.realpath(root)]) == os.path.realpath(root):
                return real
        raise SourceForbidden("the source is a link that leads out of the allowed folders")


def _open_without_links(path: str) -> int:
    """Open a file whose path contains no symbolic links.

    Each folder is opened relative to the one above it. If a link has replaced a folder since the path was resolved, the
    file is therefore not opened.
    """
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        *folders, name = [part for part in path.split("/") if part]
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A named pipe would block until another program writes into it.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _encoded(name: str) -> str:
    """Return the name of a file as a segment of a URL. A name that is no text is encoded byte by byte."""
    return quote(os.fsencode(name))


def _facts(url: str, facts: os.stat_result) -> SourceFacts:
    return SourceFacts(url, facts.st_size, f'"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"')


def _check(file: int, url: str, pin: Pin) -> None:
    with _errors():
        facts = _facts(url, os.fstat(file))
        if (facts.size, facts.etag) != (pin.size, pin.etag):
            raise SourceChanged


@contextmanager
def _errors() -> Iterator[None]:
    """Translate an error of the operating system, without its text, which contains the path."""
    try:
        yield
    except FileNotFoundError:
        raise SourceNotFound from None
    except (PermissionError, NotADirectoryError, IsADirectoryError):
        raise SourceForbidden from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SourceForbidden("the source is a link that leads to no file") from None
        # for example, because a network file system does not respond
        raise SourceUnavailable(reason=type(error).__name__) from None
