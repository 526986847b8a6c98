"""Survey: which sources a submitted item holds, and what planning must know of each. Plain pictures are not opened."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from maskrelay.contract import keys
from maskrelay.contract.jobs import Item, Submission
from maskrelay.contract.kinds import HEAD_BYTES, kind_of
from maskrelay.contract.outcomes import Failure
from maskrelay.contract.planned import Surveyed
from maskrelay.contract.sources import Extent, Kind
from maskrelay.contract.ziplist import Member, list_members, locate
from maskrelay.errors import (
    ArchiveInvalid,
    ArchiveNested,
    DirectoryFile,
    NotAnImage,
    ObjectMissing,
    SourceTooLarge,
)
from maskrelay.imaging.header import is_picture
from maskrelay.imaging.survey import survey_dicom, survey_nifti, survey_tiff
from maskrelay.storage.records import read_records, write_records
from worker.opening import Opening, failure_of
from worker.parts import Parts
from worker.sources import Sources

#: Submitted items whose surveys share an object: what planning does again when it is broken off.
ITEMS_PER_SURVEY = 8
#: A DICOM object of so many bytes is read as a whole for its header; of a larger one a copy is made.
SMALL_BYTES = 8 << 20
#: Members of one zip.
MOST_MEMBERS = 20_000


class Surveys:
    """What is found in a job's submitted items, in order; where anything was opened, it is kept in storage."""

    def __init__(
        self,
        parts: Parts,
        sources: Sources,
        submission: Submission,
        asked: Sequence[Item],
        opening: Opening,
        check_time: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._sources = sources
        self._submission = submission
        self._asked = asked
        self._opening = opening
        self._check_time = check_time

    def __iter__(self) -> Iterator[Surveyed]:
        """Raises StepLost, StorageUnavailable, LedgerUnavailable, and what `check_time` raises between two parts."""
        for first in range(0, len(self._asked), ITEMS_PER_SURVEY):
            yield from self._part(first, self._asked[first : first + ITEMS_PER_SURVEY])

    def _part(self, first: int, items: Sequence[Item]) -> list[Surveyed]:
        if all(item.kind == "still" for item in items):
            return [_still(first + place, item) for place, item in enumerate(items)]
        storage, key = self._parts.storage, keys.survey_part(self._submission.id, first // ITEMS_PER_SURVEY)
        with contextlib.suppress(ObjectMissing):
            return read_records(storage, key, Surveyed)
        self._check_time()
        found = [one for place, item in enumerate(items) for one in self._survey(first + place, item)]
        return found if write_records(storage, key, found) else read_records(storage, key, Surveyed)

    def _survey(self, upload: int, item: Item) -> list[Surveyed]:
        if item.kind == "still":
            return [_still(upload, item)]
        if item.kind == "zip":
            return self._zip(upload, item)
        return [self._opened(upload, item.source, None, item.kind, item.size, str(upload))]

    def _zip(self, upload: int, item: Item) -> list[Surveyed]:
        """Every picture among the members; a zip without any is one source that failed."""

        def read(offset: int, length: int) -> bytes:
            return self._parts.storage.get(item.source, offset, length)

        limits = {"most_members": MOST_MEMBERS, "most_bytes": 8 * self._parts.settings.max_source_bytes}
        members = self._opening(f"{upload} zip", lambda: list_members(read, item.size, **limits))
        if isinstance(members, Failure):
            return [Surveyed(upload=upload, kind="zip", size=item.size, error=members)]
        found = [self._member(upload, item, number, member, read) for number, member in enumerate(members)]
        if not found:
            failure = failure_of(ArchiveInvalid("the archive holds no files"))
            return [Surveyed(upload=upload, kind="zip", size=item.size, error=failure)]
        return found

    def _member(
        self, upload: int, item: Item, number: int, member: Member, read: Callable[[int, int], bytes]
    ) -> Surveyed:
        def head() -> tuple[Extent, bytes]:
            extent = locate(read, member)
            return extent, self._sources.head(item.source, extent, HEAD_BYTES)

        what = f"{upload}.{number}"
        located = self._opening(what, head)
        if isinstance(located, Failure):
            return Surveyed(upload=upload, kind="zip", size=0, error=located)
        extent, begin = located
        kind = kind_of(begin)
        size = extent.length if extent.inflated is None else extent.inflated
        if kind == "zip" or (kind == "still" and not is_picture(begin)):
            failure = failure_of(ArchiveNested() if kind == "zip" else NotAnImage())
            return Surveyed(upload=upload, extent=extent, kind=kind, size=size, error=failure, ignored=kind == "still")
        if kind == "still":
            return Surveyed(upload=upload, extent=extent, kind="still", size=size)
        return self._opened(upload, item.source, extent, kind, size, what)

    def _opened(self, upload: int, key: str, extent: Extent | None, kind: Kind, size: int, what: str) -> Surveyed:
        settings = self._parts.settings
        options = self._submission.pixels

        def look() -> Surveyed:
            if kind != "nifti" and size > settings.max_decode_bytes:
                raise SourceTooLarge(f"the file has {size} bytes, at most {settings.max_decode_bytes} are opened")
            about = {"upload": upload, "extent": extent, "kind": kind, "size": size}
            if kind == "dicom" and size <= SMALL_BYTES:
                return survey_dicom(self._sources.read(key, extent), about, key=settings.server_keys[0])
            with self._sources.file(key, extent, kind) as path:
                if kind == "dicom":
                    return survey_dicom(path, about, key=settings.server_keys[0])
                if kind == "nifti":
                    return survey_nifti(path, about, options)
                return survey_tiff(path, about, max_pixels=settings.max_pixels)

        found = self._opening(what, look)
        if not isinstance(found, Failure):
            return found
        ignored = found.code == DirectoryFile.code
        return Surveyed(upload=upload, extent=extent, kind=kind, size=size, error=found, ignored=ignored)


def _still(upload: int, item: Item) -> Surveyed:
    return Surveyed(upload=upload, kind="still", size=item.size)
