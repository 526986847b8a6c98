"""The reuse of whole outcomes: a frame of an unchanged source is neither read nor scored again.

It is for sources by reference, whose version is known before they are read. A pointer in storage leads from a frame,
with everything that determines its outcome, to the job that has segmented it. The outcome and its files are copied
from the result of that job.
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from importlib.metadata import version

from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import ItemLine
from maskrelay.contract.records.job import PlannedFrame, Submission
from maskrelay.contract.records.outcomes import ArtifactRef, MaskOutcome, Outcome, ReusedScore
from maskrelay.contract.records.reuse_pointers import OutcomePlace, OutcomePointer
from maskrelay.errors import ObjectMissing, RecordUnreadable
from maskrelay.ledger.claims import Claim
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import parsed, read_record, read_result
from worker.context.job_records.outcome_parts import RecordedPart, ref_of
from worker.context.job_records.plans import LruCache

#: The number of items whose earlier outcomes are kept in memory. The frames of a volume need the same item.
_ITEMS = 4
_OFFSET = struct.Struct(">Q")


class _Lost(Exception):
    """The earlier outcome, or one of its files, is gone or damaged."""


def reuse_key(planned: PlannedFrame, submission: Submission, scope: str | None) -> str | None:
    """Return the digest of everything that determines the frame's outcome, or None if it cannot be reused.

    `scope` identifies the tenant and the declared model version. It is None if there is no declared version. A source
    without an ETag or a version cannot be reused, because it may have been replaced.
    """
    pinned = planned.pinned
    if scope is None or planned.error is not None or not submission.reuse:
        return None
    if pinned is None or not pinned.identifies_content:
        return None
    source = [pinned.url, pinned.size, pinned.etag, pinned.version]
    read = [planned.extent and planned.extent.model_dump(), planned.reading.model_dump()]
    drawn = [planned.prompts, planned.outputs, planned.square_pixels, submission.one_prompt_per_request]
    parts = json.dumps(["outcome", version("maskrelay"), scope, source, read, drawn], default=str)
    return hashlib.sha256(parts.encode()).hexdigest()


class SourceReuse:
    """The earlier outcomes of frames. It may be used from any thread."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lines = LruCache[tuple[str, int], ItemLine](self._read_line, most=_ITEMS)

    def copied(self, key: str, claim: Claim, planned: PlannedFrame) -> RecordedPart | None:
        """Return the earlier outcome as that of this frame, with its files, or None if there is none.

        Raises StorageUnavailable.
        """
        try:
            pointer = read_record(self._storage, keys.reuse(key), OutcomePointer)
        except (ObjectMissing, RecordUnreadable):
            return None
        copied = self._copied_from(pointer, key, claim, planned)
        if copied is None and pointer.copied_from is not None:
            copied = self._copied_from(pointer.copied_from, key, claim, planned)
        return copied

    def _copied_from(self, place: OutcomePlace, key: str, claim: Claim, planned: PlannedFrame) -> RecordedPart | None:
        """Return a copy of the outcome at this place.

        Return None if its job has no result, was deleted or has expired, or if the result has another outcome for the
        frame. A worker with other settings may have segmented the same frame, and its outcome may be the visible one.
        """
        try:
            line = self._lines((place.job, place.item))
            [found] = [outcome for outcome in line.outcomes if outcome.frame == place.frame]
            if found.reuse_key != key:
                return None
            return self._copy(found, place, claim, planned)
        except (ObjectMissing, RecordUnreadable, ValueError, struct.error, _Lost):
            return None

    def _read_line(self, place: tuple[str, int]) -> ItemLine:
        job, item = place
        result = read_result(self._storage, job)
        offsets = self._storage.get(result.index.key, item * _OFFSET.size, 2 * _OFFSET.size)
        begin, *end = [offset for (offset,) in _OFFSET.iter_unpack(offsets)]
        length = (end[0] if end else result.items.length) - begin
        return parsed(self._storage.get(result.items.key, begin, length), ItemLine)

    def _copy(self, found: Outcome, place: OutcomePlace, claim: Claim, planned: PlannedFrame) -> RecordedPart:
        if found.state != "succeeded" or len(found.masks) != len(planned.prompts):
            raise _Lost
        job, item, frame, attempt = claim.job, planned.item, planned.frame, claim.token[:8]
        files: dict[str, bytes] = {}

        def file(ref: ArtifactRef | None, key: str) -> ArtifactRef | None:
            return None if ref is None else self._file(files, ref, key)

        def mask(number: int, old: MaskOutcome) -> MaskOutcome:
            update = {
                "mask": file(old.mask, keys.mask(job, item, frame, number, attempt)),
                "probability": file(old.probability, keys.probability(job, item, frame, number, attempt)),
            }
            return old.model_copy(update=update)

        changed = {
            "frame": frame,
            "item": item,
            "index": planned.index,
            "attempts": 1,
            "scores": (),
            "instance": planned.instance,
            "source_name": planned.source_name,
            "masks": tuple(mask(number, old) for number, old in enumerate(found.masks)),
            "overlay": file(found.overlay, keys.overlay(job, item, frame, attempt)),
            "preview": file(found.preview, keys.preview(job, item, frame, attempt)),
            "thumbnail": file(found.thumbnail, keys.thumbnail(job, item, frame, attempt)),
            "reused_from": (ReusedScore(job=place.job, frame=place.frame, prompts=tuple(range(len(planned.prompts)))),),
            "timings_ms": {},
        }
        origin = OutcomePlace(job=place.job, item=place.item, frame=place.frame)
        return RecordedPart(found.model_copy(update=changed), files, copied_from=origin)

    def _file(self, files: dict[str, bytes], ref: ArtifactRef, key: str) -> ArtifactRef:
        body = self._storage.get(ref.key, ref.offset, ref.length)
        copy = ref_of(key, body, ref.content_type)
        if copy.sha256 != ref.sha256:
            raise _Lost
        files[key] = body
        return copy


def point_to(storage: Storage, job: str, accepted: Iterable[RecordedPart]) -> None:
    """Let later frames use these outcomes, which the ledger has accepted, as soon as their job has a result.

    Raises StorageUnavailable.
    """
    pointers = {
        keys.reuse(recorded.outcome.reuse_key): OutcomePointer(
            job=job, item=recorded.outcome.item, frame=recorded.outcome.frame, copied_from=recorded.copied_from
        )
        for recorded in accepted
        if recorded.outcome.reuse_key is not None and recorded.outcome.state == "succeeded"
    }
    if pointers:
        storage.put_all({key: each.model_dump_json().encode() for key, each in pointers.items()}, "application/json")
