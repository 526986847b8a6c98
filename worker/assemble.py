"""Assemble: make the files of a whole item, one item at a time, under a lease."""

import hashlib
import logging
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from maskrelay.contract import keys
from maskrelay.contract.outcomes import ArtifactRef, Failure
from maskrelay.contract.planned import Assembled
from maskrelay.errors import AssemblyFailed, ObjectExists, ObjectMissing
from maskrelay.ledger.assembling import Taken
from maskrelay.storage.protocol import CHUNK_BYTES, Storage, has
from worker.parts import Parts
from worker.renewal import Renewal
from worker.whole import WholeItem, files_of, open_item

log = logging.getLogger(__name__)
#: An item whose assembly ended so many children is recorded as failed.
DEATHS = 2


def assemble_items(parts: Parts, until: float) -> None:
    """Assemble whatever waits for it until `until` (monotonic seconds), and leave the rest."""
    while time.monotonic() < until:
        taken = parts.ledger.assembling.take()
        if taken is None:
            return
        with Renewal(parts.settings.renewal_period, partial(parts.ledger.assembling.renew, taken)):
            assemble_item(parts, taken)


def assemble_item(parts: Parts, taken: Taken) -> None:
    """Store the item's files and then their record, which a second try finds; safe to repeat."""
    key = keys.assembled_item(taken.job, taken.item)
    if not has(parts.storage, key):
        made = _made(parts, taken)
        if made is None:
            return
        with suppress(ObjectExists):
            parts.storage.create(key, made.model_dump_json(exclude_none=True).encode(), "application/json")
    if parts.ledger.assembling.done(taken):
        parts.ledger.wakes.wake("finish")


def _made(parts: Parts, taken: Taken) -> Assembled | None:
    """The item's record; None where the job is gone or the item lacks an outcome, which finishing looks after."""
    try:
        whole = open_item(parts, taken.job, taken.item, taken.part)
    except ObjectMissing:
        return None
    if not whole.outcomes:
        return Assembled(item=taken.item)
    if taken.tries > DEATHS:
        failure = Failure(code=AssemblyFailed.code, detail="making the files ended its worker again and again")
        return Assembled(item=taken.item, errors=dict.fromkeys(whole.outputs, failure))
    with TemporaryDirectory(prefix="maskrelay-") as folder:
        return _stored(parts.storage, whole, Path(folder), taken.token[:8])


def _stored(storage: Storage, whole: WholeItem, folder: Path, attempt: str) -> Assembled:
    files: dict[str, ArtifactRef] = {}
    errors: dict[str, Failure] = {}
    for output, make in files_of(whole):
        path = folder / output
        try:
            made = make(path)
        except AssemblyFailed as error:
            log.warning("not assembled job_id=%s item=%d output=%s: %s", whole.job, whole.item.item, output, error.detail)
            errors[output] = Failure(code=error.code, detail=error.detail)
            continue
        key = keys.whole(whole.job, whole.item.item, made.name, attempt)
        files[output] = _put(storage, key, path, made.content_type)
        path.unlink()
    return Assembled(item=whole.item.item, files=files, errors=errors)


def _put(storage: Storage, key: str, path: Path, content_type: str) -> ArtifactRef:
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file, storage.writer(key, content_type) as writer:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            length += len(chunk)
            writer.write(chunk)
        writer.commit()
    return ArtifactRef(key=key, length=length, sha256=digest.hexdigest(), content_type=content_type)

