"""The submission of the objects of a folder as a job.

The id of the job is derived from the watch, the folder and the versions of its objects. However often the same folder
is submitted, and by however many processes, there is one job.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from maskrelay.callbacks.sealing import resealed
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import INTERACTIVE_ITEMS, Item, Submission, accepted_at
from maskrelay.contract.records.source_pins import name_in
from maskrelay.contract.records.watch_records import Watch
from maskrelay.errors import LedgerUnavailable, ObjectExists
from maskrelay.rules.arrivals import Arrival
from maskrelay.sources.source_reader import SourceFacts
from maskrelay.storage.protocol import has
from maskrelay.storage.stored_records import record_body
from maskrelay.storage.submitted_items import item_lines, write_before_acceptance
from worker.context import WorkerContext

#: The time for which the quota of a job is reserved until the ledger has a record of the job.
_HOLD = timedelta(seconds=15)


def submit_folder(context: WorkerContext, watch: Watch, arrival: Arrival, facts: Sequence[SourceFacts]) -> str:
    """Submit the folder if it has not been submitted yet, and return the id of its job.

    When the function returns, the job is durable. Raises QuotaReached, LedgerUnavailable or StorageUnavailable.
    """
    newest, *before = (_job_id(key, watch, arrival) for key in context.settings.server_keys)
    for job in (newest, *before):
        if _was_submitted(context, job):
            return job
    items = [_item(watch, arrival, number, each) for number, each in enumerate(facts)]
    submission = _submission(context, watch, newest, items)
    with context.ledger.quotas.kept(submission, context.quotas_of(watch.tenant), _HOLD):
        write_before_acceptance(context.storage, submission, item_lines(items))
        with suppress(ObjectExists):
            context.storage.create(keys.accepted(newest), record_body(submission), "application/json")
    with suppress(LedgerUnavailable):  # otherwise the sweep finds the job in storage
        if task := context.ledger.jobs.accept(submission):
            context.ledger.wake_ups.send(task)
    return newest


def holds_results(context: WorkerContext, folder: str) -> bool:
    """Return whether a folder has the id of a job, which has written its results there (`store_to`).

    Raises StorageUnavailable.
    """
    name = folder.rpartition("/")[2]
    return keys.ID.fullmatch(name) is not None and _was_submitted(context, name)


def _was_submitted(context: WorkerContext, job: str) -> bool:
    return has(context.storage, keys.accepted(job)) or has(context.storage, keys.gone(job))


def _job_id(server_key: bytes, watch: Watch, arrival: Arrival) -> str:
    meaning = f"watch\0{watch.tenant}\0{watch.id}\0{arrival.folder}".encode() + arrival.digest()
    return keys.derived_id(server_key, meaning)


def _item(watch: Watch, arrival: Arrival, number: int, facts: SourceFacts) -> Item:
    name = facts.url.removeprefix(f"{arrival.folder}/") if watch.template.shows_urls else str(number)
    return Item(
        source=facts.url,
        size=0,
        sha256="",
        credential=watch.credential,
        pin=facts.pin if facts.is_pinned else None,
        custom_id=name,
        source_name=name_in(facts.url),
        prompts=watch.prompts,
    )


def _submission(context: WorkerContext, watch: Watch, job: str, items: Sequence[Item]) -> Submission:
    inline = len(items) <= INTERACTIVE_ITEMS
    # The key of the list of items is the same in every process, so that the one that is accepted names an object that
    # was written.
    listed = hashlib.sha256(repr([(item.source, item.pin) for item in items]).encode()).hexdigest()[:16]
    fields = {
        "id": job,
        "created_at": accepted_at(datetime.now(UTC)),
        "lane": watch.template.lane if inline else "bulk",
        "total": len(items),
        "items": tuple(items) if inline else (),
        "items_key": None if inline else keys.items(job, listed),
        "callback": resealed(context.settings.server_keys, watch.template.callback, watch.id, job),
        "fingerprint": hashlib.sha256(f"watch {watch.id} {job}".encode()).hexdigest(),
    }
    return watch.template.model_copy(update=fields)
