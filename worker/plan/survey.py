"""The survey, which finds the sources in each submitted item, and reads what planning needs to know about them.

Pixels are not decoded. Plain images outside of zip archives are not read at all.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from maskrelay.contract.formats.sniff import HEAD_BYTES, Kind, kind_of
from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, PixelOptions, Submission
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.source_frames import Extent
from maskrelay.contract.records.source_pins import PinnedSource, is_reference
from maskrelay.contract.records.zip_directory import Member, list_members, locate
from maskrelay.errors import (
    ArchiveInvalid,
    ArchiveTooLarge,
    DirectoryFile,
    HiddenFile,
    ItemError,
    ObjectMissing,
    RecordUnreadable,
    SourceNotFound,
    ViewerPicture,
    ZeroSized,
)
from maskrelay.rules.archive_members import is_called_picture
from maskrelay.rules.item_options import effective_options
from maskrelay.storage.stored_records import read_records, write_records
from worker.context import WorkerContext
from worker.context.job_records.outcome_parts import failure_of
from worker.context.source_cache import Source, SourceCache, pinned_of
from worker.context.turn import TimeIsUp
from worker.plan.guarded_opening import GuardedOpener, time_units
from worker.plan.references import Referenced, References
from worker.plan.source_description import SourceDescriber
from worker.plan.survey_reuse import SurveyReuse, objects_of

#: The number of submitted items whose surveys are stored in one object. If the planning process dies, the surveys of at
#: most this many items are repeated.
ITEMS_PER_SURVEY = 8
#: The largest number of members of a zip archive.
MOST_MEMBERS = 20_000


class SourceSurvey:
    """The sources in submitted items, in order: in those of a job, or in those of one chunk of a run.

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
        chunk: int | None = None,
    ) -> None:
        self._context = context
        self._sources = sources
        self._submission = submission
        self._asked = asked
        self._opening = opening
        self._describer = SourceDescriber(context.settings, sources, self._options_of, opening)
        self._reuse = SurveyReuse(context.storage, submission, asked, context.settings.server_keys[0])
        self._references = References(context.source_readers, submission.tenant, self._reuse)
        self._check_time = check_time
        self._chunk = chunk
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

    def _options_of(self, upload: int) -> PixelOptions:
        return effective_options(self._submission, self._asked[upload].options).pixels

    def _part(self, first: int, items: Sequence[Item]) -> list[Surveyed]:
        if all(item.kind == "still" and not is_reference(item.source) for item in items):
            return [_still(first + place, item) for place, item in enumerate(items)]
        storage, part = self._context.storage, first // ITEMS_PER_SURVEY
        key = keys.survey_part(self._submission.id, part, self._chunk)
        with contextlib.suppress(ObjectMissing):
            return read_records(storage, key, Surveyed)
        self._found, self._begun = [], deque(self._kept_begun(part))
        pinned = self._references.pinned({first + place: item for place, item in enumerate(items)}, self._begun)
        found = [
            source
            for place, item in enumerate(items)
            for source in self._survey(first + place, item, pinned.get(first + place))
        ]
        if not write_records(storage, key, found):
            return read_records(storage, key, Surveyed)
        objects = {upload: each.pinned for upload, each in pinned.items() if each.pinned is not None}
        self._reuse.offer(part, self._chunk, objects_of(found, objects))
        return found

    def _kept_begun(self, part: int) -> list[Surveyed]:
        self._begun_key = keys.survey_begun(self._submission.id, part, self._chunk)
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

    def _survey(self, upload: int, item: Item, found: Referenced | None) -> list[Surveyed]:
        if found is None:
            if item.kind == "still":
                return [_still(upload, item)]
            return self._object(upload, item.source, item.kind, item.size)
        if found.error is not None:
            return [self._one(upload, lambda: Surveyed(upload=upload, kind="still", size=0, error=found.error))]
        if found.surveyed:
            return [self._one(upload, partial(_same, source)) for source in found.surveyed]
        if found.pinned is None:
            return self._collection(upload, item)
        return self._object(upload, found.pinned, found.kind, found.pinned.size)

    def _object(self, upload: int, source: Source, kind: Kind, size: int) -> list[Surveyed]:
        """Return the sources in an upload or in a pinned object."""
        if kind == "zip":
            return self._zip(upload, source, size)
        about: dict[str, Any] = {"upload": upload, "pinned": pinned_of(source), "extent": None}
        about |= {"kind": kind, "size": size}
        if kind == "still":
            return [self._one(upload, lambda: Surveyed(**about))]
        return [self._one(upload, lambda: self._describer.of_source(source, about, str(upload)))]

    def _collection(self, upload: int, item: Item) -> list[Surveyed]:
        """Return every object of a collection as a source, like the members of a zip archive."""
        begun = [source for source in self._begun if source.upload == upload]
        after = begun[-1].pinned.url if begun and begun[-1].pinned is not None else None
        found = [self._one(upload, partial(_same, source)) for source in begun]
        try:
            for number, pinned in enumerate(self._references.listed(item, after), len(found)):
                if number == MOST_MEMBERS:
                    raise ArchiveTooLarge(f"the source contains more than {MOST_MEMBERS} files")
                found.append(self._one(upload, partial(self._listed, upload, item, number, pinned)))
        except ItemError as error:  # without a complete list, a series could lack slices unnoticed
            return [Surveyed(upload=upload, kind="still", size=0, error=failure_of(error))]
        if all(_is_hidden(source) for source in found):
            failure = failure_of(SourceNotFound("there are no files below the source"))
            found.append(Surveyed(upload=upload, kind="still", size=0, error=failure))
        return _without_viewer(found)

    def _listed(self, upload: int, item: Item, number: int, pinned: PinnedSource) -> Surveyed:
        what, name = f"{upload}.{number}", pinned.url.removeprefix(item.source)
        about: dict[str, Any] = {"upload": upload, "pinned": pinned, "name": name, "extent": None}
        if pinned.size == 0:
            other = not is_called_picture(name)
            return Surveyed(**about, kind="still", size=0, error=failure_of(ZeroSized()), ignored=other)
        try:
            begin = self._sources.ranged(pinned, 0, HEAD_BYTES)
        except ItemError as error:
            return Surveyed(**about, kind="still", size=0, error=failure_of(error))
        return self._describer.of_file(pinned, about | {"kind": kind_of(begin), "size": pinned.size}, begin, what)

    def _zip(self, upload: int, source: Source, size: int) -> list[Surveyed]:
        """Return every member of a zip archive as a source.

        Files that are not images are marked as ignored. If the archive cannot be listed, or contains only hidden files
        or none, a failed source stands for the whole archive.
        """

        def read(offset: int, length: int) -> bytes:
            return self._sources.ranged(source, offset, length)

        settings, most = self._context.settings, MOST_MEMBERS

        def listed() -> list[Member]:
            most_bytes = 8 * settings.max_source_bytes
            return list_members(read, size, most_members=most, most_bytes=most_bytes, every=True)

        about: dict[str, Any] = {"upload": upload, "pinned": pinned_of(source)}
        members = self._opening(f"{upload} zip", listed, time_units(about["pinned"]))
        if isinstance(members, Failure):
            return [Surveyed(**about, kind="zip", size=size, error=members)]
        found = [
            self._one(upload, partial(self._member, about, source, number, member, read))
            for number, member in enumerate(members)
        ]
        if all(_is_hidden(member) for member in found):
            failure = failure_of(ArchiveInvalid("the archive contains no files"))
            found.append(Surveyed(**about, kind="zip", size=size, error=failure))
        return _without_viewer(found)

    def _member(
        self,
        about: dict[str, Any],
        source: Source,
        number: int,
        member: Member,
        read: Callable[[int, int], bytes],
    ) -> Surveyed:
        def head() -> tuple[Extent, bytes]:
            extent = locate(read, member)
            return extent, self._sources.head(source, extent, HEAD_BYTES)

        what, name = f"{about['upload']}.{number}", member.name or None
        about = {**about, "name": name}
        if member.is_hidden:
            return Surveyed(**about, kind="still", size=0, error=failure_of(HiddenFile()), ignored=True)
        if member.is_empty:
            other = not is_called_picture(member.name)
            return Surveyed(**about, kind="still", size=0, error=failure_of(ZeroSized()), ignored=other)
        located = self._opening(what, head)
        if isinstance(located, Failure):
            return Surveyed(**about, kind="zip", size=0, error=located)
        extent, begin = located
        size = extent.length if extent.inflated is None else extent.inflated
        about |= {"extent": extent, "kind": kind_of(begin), "size": size}
        return self._describer.of_file(source, about, begin, what)


def _same(source: Surveyed) -> Surveyed:
    return source


def _is_hidden(source: Surveyed) -> bool:
    return source.error is not None and source.error.code == HiddenFile.code


def _without_viewer(found: list[Surveyed]) -> list[Surveyed]:
    """Return the files of an archive or a collection.

    If they include a DICOMDIR and DICOM images, images of other formats belong to the viewer program, and are marked as
    ignored.
    """
    directory = any(source.error is not None and source.error.code == DirectoryFile.code for source in found)
    is_medium = directory and any(source.facts is not None for source in found)
    return [_beside_directory(source) for source in found] if is_medium else found


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
