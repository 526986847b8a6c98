"""Redrive the failed items of a finished job as a new job; the result of the first job never changes."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from api import accept
from api.dead_letters import letters_of
from api.known import Known
from api.service import Service, side_by_side
from maskrelay.contract import keys
from maskrelay.contract.dead_letters import DeadLetter
from maskrelay.contract.jobs import INTERACTIVE_ITEMS, CallbackTarget, Item, Result, Submission
from maskrelay.contract.targets import prompt_warnings
from maskrelay.errors import Gone, NotEnded, NothingToRedrive, ObjectMissing, UploadGone
from maskrelay.notify.seal import seal, unseal_with_any
from maskrelay.rules.redrive import is_redriven, items_again
from maskrelay.storage.protocol import has
from maskrelay.storage.records import read_items


def redrive(service: Service, known: Known, code: str | None, traceparent: str | None) -> Submission:
    """Return the job in which the items with a failed frame, of this error code or of any, are processed again.

    An error that a second attempt cannot change (the file is not an image) counts only if it is named. The new id is
    derived from the job and the code, so a repeat returns the same job. Raises NotEnded, NothingToRedrive, UploadGone,
    Gone (the new job was deleted, or this one just now), StillAccepting, and the errors of a submission for its
    endpoint, its callback and its tenant's quotas; LedgerUnavailable and StorageUnavailable with nothing accepted.
    """
    service.ledger.scripts.check_writable()
    if known.result is None:
        raise NotEnded
    job = _id_of(service, known.id, code)
    found = accept.earlier(service, job)
    if found is not None:
        return found
    with accept.reserved(service, job):
        try:
            return _accept(service, known.submission, known.result, code, job, traceparent)
        except ObjectMissing:  # the job's objects are being removed
            raise Gone from None


def _accept(
    service: Service, old: Submission, result: Result, code: str | None, job: str, traceparent: str | None
) -> Submission:
    items = _failed_items(service, old, result, code)
    callback_url = old.callback.url if old.callback else None
    accept.check_targets(service, old.tenant, old.endpoint, callback_url)
    _check_uploads(service, {item.source for item in items})
    submission = _submission(service, old, items, code, job, traceparent)
    with accept.room_kept(service, submission):
        # written before the job is accepted, so that every redriven job has its marker
        service.storage.put(keys.redriven(old.id, job), b"")
        accept.prepare(service, submission, items)
        return submission if accept.stand(service, submission) else accept.standing(service, job)


def _id_of(service: Service, job: str, code: str | None) -> str:
    """No idempotency key can produce this id: a header cannot begin with NUL."""
    return accept.derived_id(service, f"\0redrive\0{job}\0{code or ''}".encode())


def _failed_items(service: Service, old: Submission, result: Result, code: str | None) -> list[Item]:
    letters = (letter for _, letter in letters_of(service, result) if is_redriven(letter, code))
    items = items_again(read_items(service.storage, old), letters, _members(service, old.id))
    if not items:
        raise NothingToRedrive
    return items


def _members(service: Service, job: str) -> Callable[[DeadLetter], tuple[str, ...]]:
    def members_of(letter: DeadLetter) -> tuple[str, ...]:
        item = service.archive.item_of(job, letter.frame)
        return item.members if item is not None else ()

    return members_of


def _check_uploads(service: Service, uploads: set[str]) -> None:
    """Uploads are kept as long as the job that uses them; a missing one was removed by somebody else."""
    there = side_by_side(lambda upload: has(service.storage, upload), uploads)
    if missing := there.count(False):
        raise UploadGone(f"{missing} of {len(uploads)} uploads that the failed items need are no longer there.")


def _submission(
    service: Service, old: Submission, items: list[Item], code: str | None, job: str, traceparent: str | None
) -> Submission:
    """The new submission: the old one with these items."""
    inline = len(items) <= INTERACTIVE_ITEMS
    now = datetime.now(UTC)
    changed = {
        "id": job,
        "created_at": now.replace(microsecond=now.microsecond // 1000 * 1000),  # the ledger keeps milliseconds
        "warnings": prompt_warnings([prompt for item in items for prompt in item.prompts]),
        "callback": _target(service, old, job),
        "total": len(items),
        "items": tuple(items) if inline else (),
        "items_key": None if inline else keys.items(job, secrets.token_hex(8)),
        "fingerprint": hashlib.sha256(f"{old.id} {code or ''}".encode()).hexdigest(),
        "deadline": None,  # the deadline applied to the old job only
        "redrive_of": old.id,
        "traceparent": traceparent,
    }
    return old.model_copy(update=changed)


def _target(service: Service, old: Submission, job: str) -> CallbackTarget | None:
    """A secret given by the caller is sealed for its job, so it is sealed again for the new one."""
    if old.callback is None or old.callback.sealed is None:
        return old.callback
    secret = unseal_with_any(service.server_keys, old.callback.sealed, old.id)
    return old.callback.model_copy(update={"sealed": seal(service.server_key, secret, job)})
