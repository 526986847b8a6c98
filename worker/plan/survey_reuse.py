"""The reuse of surveys: an unchanged source by reference is not opened again by planning.

A pointer in storage leads from a pinned object to the job that has surveyed it. The intensity window of an item, for
which all pixels have to be read, is stored in the same way. Only jobs of the same tenant share surveys.
"""

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, Submission
from maskrelay.contract.records.planned_items import Surveyed
from maskrelay.contract.records.reuse_pointers import SurveyPointer
from maskrelay.contract.records.source_frames import Window
from maskrelay.contract.records.source_pins import PinnedSource
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.rules.item_options import effective_options
from maskrelay.rules.series.arrangement import Draft
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record, read_records


class SurveyReuse:
    """The surveys of earlier jobs. A job with `reuse: false` neither uses nor offers any.

    `asked` are the submitted items whose sources are surveyed. Methods raise StorageUnavailable.
    """

    def __init__(self, storage: Storage, submission: Submission, asked: Sequence[Item], server_key: bytes) -> None:
        self._storage = storage
        self._submission = submission
        self._asked = asked
        self._server_key = server_key

    def found(self, pinned: PinnedSource, upload: int) -> list[Surveyed]:
        """Return the sources in a pinned object, as an earlier job has surveyed them, or nothing.

        `upload` is the number of the submitted item in this job. A survey with an error is not used.
        """
        if not self._submission.reuse or not pinned.identifies_content:
            return []
        try:
            pointer = read_record(self._storage, keys.reuse(self._of_object(pinned, upload)), SurveyPointer)
            key = keys.survey_part(pointer.job, pointer.part, pointer.chunk)
            part = read_records(self._storage, key, Surveyed)
        except (ObjectMissing, RecordUnreadable):
            return []
        sources = [source for source in part if source.upload == pointer.upload]
        if any(source.error is not None and not source.ignored for source in sources):
            return []
        return [source.model_copy(update={"upload": upload, "pinned": pinned}) for source in sources]

    def offer(self, part: int, chunk: int | None, objects: Mapping[int, PinnedSource]) -> None:
        """Let later jobs use the survey of these objects, by the numbers of their items in this part of the survey.

        `chunk` is the chunk of the run to which the part belongs.
        """
        if not self._submission.reuse:
            return
        job = self._submission.id
        pointers = {
            keys.reuse(self._of_object(pinned, upload)): SurveyPointer(job=job, part=part, upload=upload, chunk=chunk)
            for upload, pinned in objects.items()
            if pinned.identifies_content
        }
        self._storage.put_all({key: each.model_dump_json().encode() for key, each in pointers.items()})

    def window(self, draft: Draft, name: str) -> Window | None:
        """Return the window of an item with these sources, or None if it is not known."""
        key = self._of_window(draft, name)
        try:
            return read_record(self._storage, keys.reuse(key), Window) if key is not None else None
        except (ObjectMissing, RecordUnreadable):
            return None

    def offer_window(self, draft: Draft, name: str, window: Window) -> None:
        """Let later jobs use the window."""
        if (key := self._of_window(draft, name)) is not None:
            self._storage.put(keys.reuse(key), window.model_dump_json().encode(), "application/json")

    def _of_object(self, pinned: PinnedSource, upload: int) -> str:
        options = effective_options(self._submission, self._asked[upload].options)
        return self._digest("survey", _version_of(pinned), options.pixels.model_dump())

    def _of_window(self, draft: Draft, name: str) -> str | None:
        pins = [source.pinned for source in draft.sources]
        if not self._submission.reuse or not all(pin is not None and pin.identifies_content for pin in pins):
            return None
        sources = [
            [_version_of(source.pinned), source.extent and source.extent.model_dump(), source.reading.model_dump()]
            for source in draft.sources
            if source.pinned is not None
        ]
        return self._digest("window", name, sources, draft.frames)

    def _digest(self, *parts: Any) -> str:
        """Return the digest of these parts. It depends on the server key too, as the surveys do."""
        text = json.dumps([self._submission.tenant, version("maskrelay"), *parts], default=str)
        return hmac.digest(self._server_key, text.encode(), "sha256").hex()


def _version_of(pinned: PinnedSource) -> list[Any]:
    return [pinned.url, pinned.size, pinned.etag, pinned.version]


def objects_of(sources: Iterable[Surveyed], among: Mapping[int, PinnedSource]) -> dict[int, PinnedSource]:
    """Return the pinned objects in `among`, by item, all of whose sources could be surveyed."""
    failed = {source.upload for source in sources if source.error is not None and not source.ignored}
    return {upload: pinned for upload, pinned in among.items() if upload not in failed}
