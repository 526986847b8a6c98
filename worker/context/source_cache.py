"""A reader of sources for decoding.

A source is an upload in storage, or a pinned object outside of it. A source with one frame is read as bytes. A source
with several frames is read from a local copy, which is cached.
"""

import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path

from maskrelay.contract.formats.nifti_header import HEADER_BYTES
from maskrelay.contract.formats.sniff import Kind
from maskrelay.contract.records.source_frames import Extent, Reading
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.contract.records.zip_members import inflated
from maskrelay.errors import ObjectMissing, SourceForbidden, SourceMissing, SourceTooLarge, StorageUnavailable
from maskrelay.imaging.read.gunzip import unpack
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.storage.protocol import Storage
from worker.context.local_copies import (
    STEP,
    new_folder,
    remove_leftovers,
    set_aside,
)

#: The storage key of an upload, or an object outside of the storage.
Source = str | PinnedSource
Place = tuple[Source, Extent | None]
GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class LocalCopy:
    """A local copy of a source. It is removed only when it has no `readers`, or when the cache is closed."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    size: int = -1
    readers: int = 0


class SourceCache:
    """A reader of sources. Every method blocks, and may be called from any thread.

    The local copies are in a folder of their own, which `close` removes. When a copy is no longer read, the least
    recently used copies without readers are removed until the total size is at most `most_bytes`. The total size of the
    copies of all workers that share a TMPDIR is at most `space_bytes`.

    Methods raise SourceMissing, Truncated, and SourceTooLarge if the decompressed source has more than `max_bytes`.
    They raise StorageUnavailable if storage does not respond, or if the copies of all workers take all the space. For a
    pinned source, they raise the errors of `SourceReaders.stream`. `readers` is None where there are only uploads.
    """

    def __init__(
        self,
        storage: Storage,
        readers: SourceReaders | None = None,
        *,
        max_bytes: int,
        most_bytes: int,
        space_bytes: int = 1 << 62,
    ) -> None:
        self._storage = storage
        self._readers = readers
        self._max_bytes = max_bytes
        self._most_bytes = most_bytes
        self._space_bytes = space_bytes
        self._folder: Path | None = None
        self._owned = -1
        self._copies: OrderedDict[Place, LocalCopy] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, source: Source, extent: Extent | None = None) -> bytes:
        """Return the whole source.

        A source that is a complete upload is read in one call, and its size is not checked.
        """
        if extent is not None or isinstance(source, PinnedSource):
            whole = BytesIO()  # getvalue() returns the bytes without another copy
            whole.writelines(self._chunks(source, extent))
            return whole.getvalue()
        try:
            return self._storage.get(source)
        except ObjectMissing as error:
            raise SourceMissing from error

    def head(self, source: Source, extent: Extent | None, length: int) -> bytes:
        """Return the beginning of the source: at least `length` bytes, or all of it if it is shorter."""
        if extent is None:
            return self.ranged(source, 0, length)
        held = b""
        chunks = self._chunks(source, extent)
        for chunk in chunks:
            held += chunk
            if len(held) >= length:
                break
        return held

    def unpacked(self, source: Source, extent: Extent | None) -> Iterator[bytes]:
        """Yield the source in pieces, decompressed if it is a gzip file. No copy is kept."""
        chunks = self._chunks(source, extent)
        begin = next(chunks, b"")
        whole = chain([begin], chunks)
        return self._bounded(unpack(whole)) if begin.startswith(GZIP) else whole

    @contextmanager
    def file(self, source: Source, extent: Extent | None, kind: Kind) -> Iterator[Path]:
        """Yield the path of a local copy, which exists until the block ends.

        A compressed NIfTI file is decompressed.
        """
        place = source, extent
        copy = self._taken(place)
        try:
            with copy.lock:
                if copy.size < 0:
                    self._fetch(place, kind, copy)
            yield copy.path
        finally:
            self._given_back(copy)

    @contextmanager
    def opened(self, source: Source, extent: Extent | None, reading: Reading) -> Iterator[bytes | Path]:
        """Yield the path of a local copy if the source has several frames, otherwise its bytes."""
        if reading.several:
            with self.file(source, extent, reading.kind) as path:
                yield path
        else:
            yield self.read(source, extent)

    def close(self) -> None:
        """Remove every copy. Readers that still use a copy will fail."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                os.close(self._owned)
                self._folder = None
                self._copies.clear()

    def _taken(self, place: Place) -> LocalCopy:
        with self._lock:
            if self._folder is None:
                remove_leftovers()
                self._folder, self._owned = new_folder()
            if place not in self._copies:
                self._copies[place] = LocalCopy(self._folder / secrets.token_hex(8))
            copy = self._copies[place]
            self._copies.move_to_end(place)
            copy.readers += 1
            return copy

    def _given_back(self, copy: LocalCopy) -> None:
        with self._lock:
            copy.readers -= 1
            total = sum(max(0, cached.size) for cached in self._copies.values())
            for place, cached in list(self._copies.items()):
                if cached.readers == 0 and (cached.size < 0 or total > self._most_bytes):
                    total -= max(0, cached.size)
                    self._remove(place)

    def drop_unused(self) -> None:
        """Remove the copies without readers."""
        with self._lock:
            for place, copy in list(self._copies.items()):
                if copy.readers == 0:
                    self._remove(place)

    def _remove(self, place: Place) -> None:
        self._copies.pop(place).path.unlink(missing_ok=True)

    def _fetch(self, place: Place, kind: Kind, copy: LocalCopy) -> None:
        written = set_aside_for = 0
        with copy.path.open("wb") as out:
            for chunk in self.unpacked(*place) if kind == "nifti" else self._chunks(*place):
                if written + len(chunk) > set_aside_for:
                    set_aside_for = written + max(STEP, len(chunk))
                    self._set_aside(copy.path, set_aside_for)
                out.write(chunk)
                written += len(chunk)
            out.truncate(written)
        copy.size = written

    def _set_aside(self, path: Path, size: int) -> None:
        """Reserve space for a copy.

        If there is not enough, remove this cache's copies without readers and try again.
        """
        if size > self._space_bytes:
            raise SourceTooLarge(f"local copies may have at most {self._space_bytes} bytes")
        try:
            set_aside(path, size, most_bytes=self._space_bytes)
        except StorageUnavailable:
            self.drop_unused()
            set_aside(path, size, most_bytes=self._space_bytes)

    def ranged(self, source: Source, start: int, length: int) -> bytes:
        """Return a range of the source, shorter if the source ends in it."""
        return b"".join(self._stored(source, start, length))

    def _chunks(self, source: Source, extent: Extent | None) -> Iterator[bytes]:
        if extent is None:
            yield from self._bounded(self._stored(source))
        else:
            stored = self._stored(source, extent.offset, extent.length)
            yield from self._bounded(inflated(stored, extent))

    def _stored(self, source: Source, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield a range of the object. Raises SourceMissing, or the errors of `SourceReaders.stream`."""
        if isinstance(source, PinnedSource):
            if self._readers is None:
                raise SourceForbidden
            yield from self._readers.stream(source, start, length)
            return
        try:
            yield from self._storage.stream(source, start, length)
        except ObjectMissing as error:
            raise SourceMissing from error

    def _bounded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > self._max_bytes:
                raise SourceTooLarge(f"a source may have at most {self._max_bytes} bytes")
            yield chunk


def begin_of(chunks: Iterator[bytes]) -> bytes:
    """Return the first bytes of a decompressed NIfTI file, which contain its header.

    Nothing more is read or decompressed.
    """
    held = b""
    while len(held) < HEADER_BYTES and (chunk := next(chunks, b"")):
        held += chunk
    return held[:HEADER_BYTES]


def pinned_of(source: Source) -> PinnedSource | None:
    """Return the source if it is a pinned object outside of the storage, or None if it is an upload."""
    return source if isinstance(source, PinnedSource) else None
