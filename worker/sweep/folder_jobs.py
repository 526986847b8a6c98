"""The submission of the objects of a folder as a job.

The id of the job is derived from the watch, the folder and the versions of its objects. However often the same folder
is submitted, and by however many processes, there is one job.
"""

import hashlib
import hmac
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from maskrelay.callbacks.sealing import seal, unseal_with_any
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import INTERACTIVE_ITEMS, CallbackTarget, Item, Submission
from maskrelay.contract.records.source_pins import name_in
from maskrelay.contract.records.watch_records import Watch
from maskrelay.errors import LedgerUnavailable, ObjectExists
from maskrelay.ledger.quotas import Usage
from maskrelay.rules.arrivals import Arrival
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.storage.protocol import has
from maskrelay.storage.stored_records import record_body
from worker.context import WorkerContext

#: The time for which the quota of a job is reserved until the ledger has a record of the job.
_HOLD = timedelta(seconds=15)


def submit_folder(context: WorkerContext, watch: Watch, arrival: Arrival, facts: Sequence[SourceFacts]) -> str:
    """Submit the folder if it has not been submitted yet, and return the id of its job.

    When the function returns, the job is durable. Raises QuotaReached, LedgerUnavailable or StorageUnavailable.
    """
    newest, *before = (_job_id(key, watch, arrival) for key in context.settings.server_keys)
    for job in (newest, *before):
        if has(context.storage, keys.accepted(job)) or has(context.storage, keys.gone(job)):
            return job
    items = [_item(watch, arrival, each) for each in facts]
    submission = _submission(context, watch, newest, items)
    quotas = context.ledger.quotas
    usage = Usage(jobs=1, frames=len(items), interactive=0 if submission.lane == "bulk" else len(items), bytes=0)
    quotas.keep(watch.tenant, newest, usage, _most(context), _HOLD)
    try:
        with context.storage.flushed_later():
            context.storage.put(keys.live(newest), b"")
            if submission.items_key is not None:
                lines = b"".join(record_body(item) + b"\n" for item in items)
                context.storage.put(submission.items_key, lines, "application/x-ndjson")
        with suppress(ObjectExists):
            context.storage.create(keys.accepted(newest), record_body(submission), "application/json")
    except BaseException:
        with suppress(LedgerUnavailable):
            quotas.release(watch.tenant, newest)
        raise
    with suppress(LedgerUnavailable):  # otherwise the sweep finds the job in storage
        context.ledger.jobs.create(
            newest,
            watch.tenant,
            submission.lane,
            submission.total,
            submission.created_at,
            size=0,
            deadline=submission.deadline,
        )
    return newest


def _most(context: WorkerContext) -> Usage:
    settings = context.settings
    return Usage(
        jobs=settings.tenant_jobs,
        frames=settings.tenant_frames,
        interactive=settings.tenant_interactive,
        bytes=settings.tenant_bytes,
    )


def _job_id(server_key: bytes, watch: Watch, arrival: Arrival) -> str:
    meaning = f"watch\0{watch.tenant}\0{watch.id}\0{arrival.folder}".encode() + arrival.digest()
    return keys.id_of_bytes(hmac.digest(server_key, meaning, hashlib.sha256))


def _item(watch: Watch, arrival: Arrival, facts: SourceFacts) -> Item:
    return Item(
        source=facts.url,
        size=0,
        sha256="",
        credential=watch.credential,
        pin=facts.pin,
        custom_id=facts.url.removeprefix(f"{arrival.folder}/"),
        source_name=name_in(facts.url),
        prompts=watch.prompts,
    )


def _submission(context: WorkerContext, watch: Watch, job: str, items: Sequence[Item]) -> Submission:
    now = datetime.now(UTC)
    inline = len(items) <= INTERACTIVE_ITEMS
    # The key of the list of items is the same in every process, so that the one that is accepted names an object that
    # was written.
    listed = hashlib.sha256(repr([(item.source, item.pin) for item in items]).encode()).hexdigest()[:16]
    fields = {
        "id": job,
        "created_at": now.replace(microsecond=now.microsecond // 1000 * 1000),
        "lane": watch.template.lane if inline else "bulk",
        "total": len(items),
        "items": tuple(items) if inline else (),
        "items_key": None if inline else keys.items(job, listed),
        "callback": _callback(context, watch, job),
        "fingerprint": hashlib.sha256(f"watch {watch.id} {job}".encode()).hexdigest(),
    }
    return watch.template.model_copy(update=fields)


def _callback(context: WorkerContext, watch: Watch, job: str) -> CallbackTarget | None:
    """Return the receiver of the job's events. Its secret is sealed for the watch, and is sealed again for the job."""
    target = watch.template.callback
    if target is None or target.sealed is None:
        return target
    secret = unseal_with_any(context.settings.server_keys, target.sealed, watch.id)
    return target.model_copy(update={"sealed": seal(context.settings.server_keys[0], secret, job)})
