"""The survey, which finds the sources in each submitted item, and reads what planning needs to know about them.

Pixels are not decoded. Plain images outside of zip archives are not read at all.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from maskrelay.contract.formats.sniff import HEAD_BYTES, kind_of
from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, Submission
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_frames import Extent
from maskrelay.contract.records.zip_directory import Member, list_members, locate
from maskrelay.errors import (
    ArchiveInvalid,
    ArchiveNested,
    DirectoryFile,
    HiddenFile,
    ItemError,
    NotAnImage,
    ObjectMissing,
    RecordUnreadable,
    SourceTooLarge,
    ViewerPicture,
    ZeroSized,
)
from maskrelay.imaging.read.image_header import is_picture
from maskrelay.imaging.read.source_survey import survey_dicom, survey_nifti, survey_tiff
from maskrelay.rules.archive_members import is_called_archive, is_called_picture, is_other_file
from maskrelay.storage.stored_records import read_records, write_records
from worker.context import WorkerContext
from worker.context.job_records.outcome_parts import failure_of
from worker.context.source_cache import GZIP, SourceCache, begin_of
from worker.context.turn import TimeIsUp
from worker.plan.guarded_opening import GuardedOpener

#: The number of submitted items whose surveys are stored in one object. If the planning process dies, the surveys of at
#: most this many items are repeated.
ITEMS_PER_SURVEY = 8
#: To read the header of a DICOM object of up to this size, the whole object is read into memory. For a larger object, a
#: local copy is made.
SMALL_BYTES = 8 << 20
#: The largest number of members of a zip archive.
MOST_MEMBERS = 20_000


class SourceSurvey:
    """The sources in a job's submitted items, in order.

    The submitted items are surveyed in groups of ITEMS_PER_SURVEY. The sources of a group are stored, unless all its
    items are plain images.
    """

    def __init__(
        self,
        context: WorkerContext,
        sources: SourceCache,
        submission: Submission,
        asked: Sequence[Item],
        opening: GuardedOpener,
        check_time: Callable[[], None],
    ) -> None:
        self._context = context
        self._sources = sources
        self._submission = submission
        self._asked = asked
        self._opening = opening
        self._check_time = check_time
        self._found: list[Surveyed] = []  # the sources found so far in the current group of items
        # The sources of this group that an earlier attempt found before its time was over, without those used already.
        self._begun: deque[Surveyed] = deque()
        self._has_opened, self._begun_key = False, ""

    def __iter__(self) -> Iterator[Surveyed]:
        """Yield the sources.

        Raises StepLost, StorageUnavailable or LedgerUnavailable. Raises TimeIsUp between two sources, after the sources
        found so far have been stored.
        """
        for first in range(0, len(self._asked), ITEMS_PER_SURVEY):
            yield from self._part(first, self._asked[first : first + ITEMS_PER_SURVEY])

    def _part(self, first: int, items: Sequence[Item]) -> list[Surveyed]:
        if all(item.kind == "still" for item in items):
            return [_still(first + place, item) for place, item in enumerate(items)]
        storage, key = self._context.storage, keys.survey_part(self._submission.id, first // ITEMS_PER_SURVEY)
        with contextlib.suppress(ObjectMissing):
            return read_records(storage, key, Surveyed)
        self._found, self._begun = [], deque(self._kept_begun(first // ITEMS_PER_SURVEY))
        found = [source for place, item in enumerate(items) for source in self._survey(first + place, item)]
        return found if write_records(storage, key, found) else read_records(storage, key, Surveyed)

    def _kept_begun(self, part: int) -> list[Surveyed]:
        self._begun_key = keys.survey_begun(self._submission.id, part)
        with contextlib.suppress(ObjectMissing, RecordUnreadable):
            return read_records(self._context.storage, self._begun_key, Surveyed)
        return []

    def _one(self, upload: int, survey: Callable[[], Surveyed]) -> Surveyed:
        """Return the next source.

        `survey` is called only if no earlier attempt has stored this source. Raises TimeIsUp if the step's time is
        over.
        """
        if self._begun and self._begun[0].upload == upload:
            source = self._begun.popleft()
        else:
            self._begun.clear()
            self._give_way()
            source = survey()
        self._found.append(source)
        return source

    def _give_way(self) -> None:
        """If the step's time is over, store the sources found so far and raise TimeIsUp.

        The first call does nothing, so every attempt opens at least one source.
        """
        if not self._has_opened:
            self._has_opened = True
            return
        try:
            self._check_time()
        except TimeIsUp:
            body = "\n".join(source.model_dump_json(exclude_defaults=True) for source in self._found)
            self._context.storage.put(self._begun_key, body.encode(), "application/x-ndjson")
            raise

    def _survey(self, upload: int, item: Item) -> list[Surveyed]:
        if item.kind == "still":
            return [_still(upload, item)]
        if item.kind == "zip":
            return self._zip(upload, item)
        about = {"upload": upload, "extent": None, "kind": item.kind, "size": item.size}
        return [self._one(upload, lambda: self._opened(item.source, about, str(upload)))]

    def _zip(self, upload: int, item: Item) -> list[Surveyed]:
        """Return every member of a zip archive as a source.

        Files that are not images are marked as ignored. If the archive cannot be listed, or contains only hidden files
        or none, a failed source stands for the whole archive.
        """

        def read(offset: int, length: int) -> bytes:
            return self._context.storage.get(item.source, offset, length)

        settings, most = self._context.settings, MOST_MEMBERS

        def listed() -> list[Member]:
            most_bytes = 8 * settings.max_source_bytes
            return list_members(read, item.size, most_members=most, most_bytes=most_bytes, every=True)

        members = self._opening(f"{upload} zip", listed)
        if isinstance(members, Failure):
            return [Surveyed(upload=upload, kind="zip", size=item.size, error=members)]
        found = [
            self._one(upload, partial(self._member, upload, item, number, member, read))
            for number, member in enumerate(members)
        ]
        if all(_is_hidden(source) for source in found):
            failure = failure_of(ArchiveInvalid("the archive contains no files"))
            found.append(Surveyed(upload=upload, kind="zip", size=item.size, error=failure))
        directory = any(source.error is not None and source.error.code == DirectoryFile.code for source in found)
        is_medium = directory and any(source.facts is not None for source in found)
        return [_beside_directory(source) for source in found] if is_medium else found

    def _member(
        self, upload: int, item: Item, number: int, member: Member, read: Callable[[int, int], bytes]
    ) -> Surveyed:
        def head() -> tuple[Extent, bytes]:
            extent = locate(read, member)
            return extent, self._sources.head(item.source, extent, HEAD_BYTES)

        what, name = f"{upload}.{number}", member.name or None
        about: dict[str, Any] = {"upload": upload, "name": name}
        if member.is_hidden:
            return Surveyed(**about, kind="still", size=0, error=failure_of(HiddenFile()), ignored=True)
        if member.is_empty:
            other = not is_called_picture(member.name)
            return Surveyed(**about, kind="still", size=0, error=failure_of(ZeroSized()), ignored=other)
        located = self._opening(what, head)
        if isinstance(located, Failure):
            return Surveyed(**about, kind="zip", size=0, error=located)
        extent, begin = located
        kind = kind_of(begin)
        size = extent.length if extent.inflated is None else extent.inflated
        about |= {"extent": extent, "kind": kind, "size": size}
        if kind == "zip":
            other = not is_called_archive(member.name)
            return Surveyed(**about, error=failure_of(ArchiveNested()), ignored=other)
        if kind == "still" and not is_picture(begin):
            other = not is_called_picture(member.name)
            return Surveyed(**about, error=failure_of(NotAnImage()), ignored=other)
        return Surveyed(**about) if kind == "still" else self._opened(item.source, about, what)

    def _opened(self, key: str, about: dict[str, Any], what: str) -> Surveyed:
        """Open a source and describe it.

        A DICOMDIR, or a file in a zip archive that turns out not to be an image, is marked as ignored.
        """
        settings, options = self._context.settings, self._submission.pixels
        extent, kind, size = about["extent"], about["kind"], about["size"]

        def survey() -> Surveyed:
            if kind != "nifti" and size > settings.max_decode_bytes:
                raise SourceTooLarge(f"the file has {size} bytes; at most {settings.max_decode_bytes} are allowed")
            if kind == "dicom" and size <= SMALL_BYTES:
                return survey_dicom(self._sources.read(key, extent), about, key=settings.server_keys[0])
            if kind == "nifti":
                head = begin_of(self._sources.unpacked(key, extent))
                packed = self._sources.head(key, extent, len(GZIP)).startswith(GZIP)
                length = None if packed else size
                return survey_nifti(head, about, options, length=length, most_bytes=settings.max_source_bytes)
            with self._sources.file(key, extent, kind) as path:
                if kind == "dicom":
                    return survey_dicom(path, about, key=settings.server_keys[0])
                return survey_tiff(path, about, max_pixels=settings.max_pixels)

        def survey_or_ignore() -> Surveyed:
            try:
                return survey()
            except ItemError as error:
                other = extent is not None and is_other_file(error, about["name"] or "")
                if not other and not isinstance(error, DirectoryFile):
                    raise
                return Surveyed(**about, error=failure_of(error), ignored=True)

        found = self._opening(what, survey_or_ignore)
        return Surveyed(**about, error=found) if isinstance(found, Failure) else found


def _is_hidden(source: Surveyed) -> bool:
    return source.error is not None and source.error.code == HiddenFile.code


def _beside_directory(source: Surveyed) -> Surveyed:
    """Return the source, marked as ignored if it is a plain image or a TIFF file.

    This is for archives with a DICOMDIR and DICOM images. In such an archive, images of other formats belong to the
    viewer program.
    """
    if source.kind not in ("still", "tiff") or source.error is not None:
        return source
    return source.model_copy(update={"error": failure_of(ViewerPicture()), "ignored": True})


def _still(upload: int, item: Item) -> Surveyed:
    return Surveyed(upload=upload, kind="still", size=item.size)
