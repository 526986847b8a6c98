"""The description of a source, from its first bytes or its header."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from maskrelay.contract.record import Failure
from maskrelay.contract.records.job import PixelOptions
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.errors import ArchiveNested, DirectoryFile, ItemError, NotAnImage, SourceTooLarge
from maskrelay.imaging.read.image_header import is_picture
from maskrelay.imaging.read.source_survey import survey_dicom, survey_nifti, survey_tiff
from maskrelay.rules.archive_members import is_called_archive, is_called_picture, is_other_file
from maskrelay.settings import Settings
from worker.context.job_records.outcome_parts import failure_of
from worker.context.source_cache import GZIP, Source, SourceCache, begin_of
from worker.plan.guarded_opening import GuardedOpener

#: To read the header of a DICOM object of up to this size, the whole object is read into memory. For a larger object, a
#: local copy is made.
SMALL_BYTES = 8 << 20
#: What is read to describe a source: its bytes, a local copy, or the header of a NIfTI file with the file's length. The
#: length is None if the file is compressed.
Fetched = bytes | Path | tuple[bytes, int | None]


class SourceDescriber:
    """Describes the sources of one job. `about` contains the fields of `Surveyed` that are already known.

    `options_of` returns the options of a submitted item.
    """

    def __init__(
        self,
        settings: Settings,
        sources: SourceCache,
        options_of: Callable[[int], PixelOptions],
        opening: GuardedOpener,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._options_of = options_of
        self._opening = opening

    def of_file(self, source: Source, about: dict[str, Any], begin: bytes, what: str) -> Surveyed:
        """Describe a file of an archive or of a collection, which begins with `begin`."""
        kind, name = about["kind"], about["name"] or ""
        if kind == "zip":
            return Surveyed(**about, error=failure_of(ArchiveNested()), ignored=not is_called_archive(name))
        if kind == "still" and not is_picture(begin):
            return Surveyed(**about, error=failure_of(NotAnImage()), ignored=not is_called_picture(name))
        return Surveyed(**about) if kind == "still" else self.of_source(source, about, what)

    def of_source(self, source: Source, about: dict[str, Any], what: str) -> Surveyed:
        """Open a source and describe it. It is fetched before the time limit of the opening begins."""

        def described() -> Surveyed:
            try:
                return self._described(fetched, about)
            except ItemError as error:
                return _unreadable(error, about)

        try:
            with ExitStack() as held:
                fetched = self._fetched(source, about, held)
                found = self._opening(what, described)
        except ItemError as error:
            return _unreadable(error, about)
        return Surveyed(**about, error=found) if isinstance(found, Failure) else found

    def _fetched(self, source: Source, about: dict[str, Any], held: ExitStack) -> Fetched:
        """Return what must be read to describe the source. A local copy exists until `held` ends."""
        extent, kind, size = about["extent"], about["kind"], about["size"]
        most = self._settings.max_decode_bytes
        if kind == "nifti":
            is_packed = self._sources.head(source, extent, len(GZIP)).startswith(GZIP)
            return begin_of(self._sources.unpacked(source, extent)), None if is_packed else size
        if size > most:
            raise SourceTooLarge(f"the file has {size} bytes; at most {most} are allowed")
        if kind == "dicom" and size <= SMALL_BYTES:
            return self._sources.read(source, extent)
        return held.enter_context(self._sources.file(source, extent, kind))

    def _described(self, fetched: Fetched, about: dict[str, Any]) -> Surveyed:
        settings = self._settings
        if isinstance(fetched, tuple):
            head, length = fetched
            options = self._options_of(about["upload"])
            return survey_nifti(head, about, options, length=length, most_bytes=settings.max_source_bytes)
        if about["kind"] == "dicom":
            return survey_dicom(fetched, about, key=settings.server_keys[0])
        assert isinstance(fetched, Path)
        return survey_tiff(fetched, about, max_pixels=settings.max_pixels)


def _unreadable(error: ItemError, about: dict[str, Any]) -> Surveyed:
    """Return the source with its error.

    A DICOMDIR, or a file of an archive or a collection that turns out not to be an image, is marked as ignored.
    """
    other = "name" in about and is_other_file(error, about["name"] or "")
    ignored = other or isinstance(error, DirectoryFile)
    return Surveyed(**about, error=failure_of(error), ignored=ignored)
