"""The assemble step, which makes the files of whole items, one item at a time, under a lease."""

import hashlib
import logging
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from maskrelay.contract.record import Failure
from maskrelay.contract.records import keys
from maskrelay.contract.records.item_lines import file_name
from maskrelay.contract.records.job import Submission
from maskrelay.contract.records.outcomes import ArtifactRef
from maskrelay.contract.records.planned_items import Assembled
from maskrelay.contract.vocabulary.segment_codes import CodeTable
from maskrelay.errors import (
    ArtifactUnsupported,
    AssemblyFailed,
    LedgerUnavailable,
    ObjectExists,
    ObjectMissing,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
    StorageUnavailable,
)
from maskrelay.ledger.assembly_leases import AssemblyLease
from maskrelay.storage.protocol import CHUNK_BYTES, Storage, has
from maskrelay.storage.stored_records import read_submission
from worker.assemble.file_reuse import copied, offer, reuse_digest
from worker.assemble.item_outputs import files_of, seg_series_of
from worker.assemble.whole_item import WholeItem, read_item, whole_outputs
from worker.context import WorkerContext
from worker.context.attempts import OUTAGE, TRIES, pause_after
from worker.context.halted_jobs import halt
from worker.context.job_records.plans import LruCache
from worker.context.job_records.visible_outcomes import VisibleOutcomes, find_visible_outcomes
from worker.context.lease_renewal import LeaseRenewal
from worker.context.local_copies import owned_folder
from worker.context.source_cache import SourceCache

log = logging.getLogger(__name__)
#: If this many attempts at an item have failed or crashed their process, the next attempt makes no files. It only
#: records that the files cannot be made.
DEATHS = 2
#: The errors of one file of an item. The other files are made.
_UNMADE = (ArtifactUnsupported, SourceChanged, SourceForbidden, SourceNotFound)


def assemble_items(context: WorkerContext, until: float) -> None:
    """Assemble waiting items until `until` (monotonic seconds). The remaining items wait for the next wake-up."""
    with closing(context.sources()) as sources:
        assembler = Assembler(context, sources)
        while time.monotonic() < until:
            lease = context.ledger.assembly_leases.take()
            if lease is None:
                return
            _attempt(context, assembler, lease)


def _attempt(context: WorkerContext, assembler: "Assembler", lease: AssemblyLease) -> None:
    """Make one attempt at one item, like `attempts.attempt` does for a step."""
    assembling = context.ledger.assembly_leases
    try:
        if lease.tries > TRIES:
            halt(context, lease.job, "assemble")
            return
        with (
            LeaseRenewal(context.settings.renewal_period, partial(assembling.renew, lease)),
            context.recorder.timed("assemble"),
        ):
            assembler.assemble(lease)
    except SourceUnavailable:  # other items can be assembled
        context.recorder.happened("parked", SourceUnavailable.code)
        assembling.excuse(lease, OUTAGE)
    except (StorageUnavailable, LedgerUnavailable):
        assembling.excuse(lease, OUTAGE)
        raise
    except Exception:
        log.exception("a step failed", extra={"job_id": lease.job, "step": "assemble", "tries": lease.tries})
        context.recorder.happened("step failed", "assemble")
        if lease.tries >= TRIES:
            halt(context, lease.job, "assemble")
        else:
            assembling.put_off(lease, pause_after(lease.tries))


class Assembler:
    """A maker of the files of items. For consecutive items of one job, the visible outcomes are read only once."""

    def __init__(self, context: WorkerContext, sources: SourceCache) -> None:
        self._context = context
        self._sources = sources
        self._visible = LruCache[str, VisibleOutcomes](self._read_item, most=2)

    def assemble(self, lease: AssemblyLease) -> None:
        """Store the files of the item, and then the record of the files and errors. Repeating this does no harm."""
        storage, key = self._context.storage, keys.assembled_item(lease.job, lease.item)
        if not has(storage, key):
            try:
                made = self._made(lease)
            except ObjectMissing:  # the job was deleted, and the sweep removes its other objects
                return
            with suppress(ObjectExists):
                storage.create(key, made.model_dump_json(exclude_none=True).encode(), "application/json")
        if self._context.ledger.assembly_leases.done(lease):
            self._context.ledger.wake_ups.wake("finish")

    def _read_item(self, job: str) -> VisibleOutcomes:
        record = self._context.ledger.jobs.get(job)
        frames = record.frames.planned if record is not None else 0
        return find_visible_outcomes(
            self._context.storage, job, frames, self._context.ledger.jobs.parts(job), spool_bytes=0
        )

    def _made(self, lease: AssemblyLease) -> Assembled:
        storage = self._context.storage
        submission = read_submission(storage, lease.job)
        with self._context.spans.span(
            "assemble", submission.traceparent, kind="consumer", job_id=lease.job, item=lease.item
        ):
            return self._made_of(lease, submission)

    def _made_of(self, lease: AssemblyLease, submission: Submission) -> Assembled:
        storage = self._context.storage
        item, frames = read_item(storage, lease.job, lease.item, lease.part)
        if lease.tries > DEATHS:
            failure = Failure(code=AssemblyFailed.code, detail="making the files failed repeatedly")
            return Assembled(item=lease.item, errors=dict.fromkeys(whole_outputs(item), failure))
        whole = WholeItem(storage, submission, item, frames, self._visible(lease.job))
        return self._stored(whole, lease) if whole.first is not None else Assembled(item=lease.item)

    def _stored(self, whole: WholeItem, lease: AssemblyLease) -> Assembled:
        """Make the files of the item, or copy those of an earlier item with the same sources and masks."""
        storage, codes = self._context.storage, self._context.segment_codes()
        digest = reuse_digest(whole, codes, self._context.settings.server_keys[0])
        made = copied(storage, digest, lease) if digest is not None else None
        if made is None:
            made = self._written(whole, codes, lease)
        if digest is not None and not made.errors:
            offer(storage, digest, lease)
        return made

    def _written(self, whole: WholeItem, codes: CodeTable, lease: AssemblyLease) -> Assembled:
        files: dict[str, ArtifactRef] = {}
        errors: dict[str, Failure] = {}
        with owned_folder() as folder:
            path = folder / "file"
            for file in files_of(whole, self._sources, codes):
                try:
                    with path.open("wb") as out:
                        file.write(out)
                except _UNMADE as error:
                    about = {"job_id": lease.job, "item": lease.item, "output": file.output}
                    log.warning("a file of an item cannot be made", extra=about)
                    errors[file.output] = Failure(code=error.code, detail=error.detail)
                    continue
                key = keys.whole(lease.job, lease.item, file_name(file.output), lease.token[:8])
                files[file.output] = _put(self._context.storage, key, path, file.content_type)
        series = seg_series_of(whole) if "seg" in files else None
        return Assembled(item=lease.item, files=files, seg_series=series, errors=errors)


def _put(storage: Storage, key: str, path: Path, content_type: str) -> ArtifactRef:
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file, storage.writer(key, content_type) as writer:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            length += len(chunk)
            writer.write(chunk)
        writer.commit()
    return ArtifactRef(key=key, length=length, sha256=digest.hexdigest(), content_type=content_type)
