"""Accept a job, step by step: everything before `job.json` may be left half done, and nothing after it."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.endpoints import check_pin
from api.incoming import Incoming
from api.pointers import pointer
from api.service import Service, side_by_side
from api.submission import Wanted
from api.upload_room import uploads_used
from maskrelay.contract import keys
from maskrelay.contract.jobs import INTERACTIVE_ITEMS, CallbackTarget, Item, Submission
from maskrelay.contract.targets import prompt_warnings
from maskrelay.errors import (
    CallbackForbidden,
    Gone,
    IdempotencyKeyReused,
    LedgerFull,
    LedgerUnavailable,
    ObjectExists,
    OptionInvalid,
    QuotaReached,
    StillAccepting,
    StorageUnavailable,
    UploadExpired,
)
from maskrelay.ledger.room import Load
from maskrelay.notify.seal import seal
from maskrelay.storage.records import record_body

#: How long an id stays reserved for a request that ends without giving it back, and a repeat is told to come again.
#: One that takes longer is only joined by its repeat: `job.json` is created once.
_HOLD = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, under which idempotency key, within which trace."""

    tenant: str
    key: str | None
    traceparent: str | None


def check_room(service: Service, request: Request, declared: int) -> None:
    """Raise QuotaReached or LedgerFull where a body of so many declared bytes cannot become a job, LedgerUnavailable.

    Nothing is read for it yet. A repeat under the key of an accepted job takes no room.
    """
    more = Load(jobs=1, frames=1, bytes=declared)
    try:
        service.ledger.room.check_memory()
        service.ledger.room.check(request.tenant, more, service.quotas(request.tenant))
    except (QuotaReached, LedgerFull):
        if request.key is None or earlier(service, _id_of(service, request)) is None:
            raise


def accept(service: Service, request: Request, wanted: Wanted, incoming: Incoming) -> Submission:
    """The submission that now stands for this request: a new one, or the first under its key.

    Raises LedgerUnavailable and StorageUnavailable with the job not accepted; StillAccepting, IdempotencyKeyReused,
    Gone; UploadExpired, CallbackForbidden, LaneForbidden, QuotaReached. Once this returns, the job is durable.
    """
    service.ledger.scripts.check_writable()
    job = _id_of(service, request)
    if request.key is None:
        return _accept_new(service, request, wanted, incoming, job)
    found = earlier(service, job)
    if found is not None:
        return _same(found, wanted)
    with reserved(service, job):
        return _accept_new(service, request, wanted, incoming, job)


def _accept_new(service: Service, request: Request, wanted: Wanted, incoming: Incoming, job: str) -> Submission:
    _check_admissible(service, request.tenant, wanted)
    submission, items = _written(service, request, wanted, job)
    with uploads_used(service, request.tenant, wanted.uploads, incoming), room_kept(service, submission):
        prepare(service, submission, items)
        incoming.kept = True  # from here on the job may exist even if we never hear of it
        if stand(service, submission):
            return submission
        incoming.kept = False
        return _same(standing(service, job), wanted)


@contextmanager
def reserved(service: Service, job: str) -> Iterator[None]:
    """Accept the job of a derived id alone; raises StillAccepting while another request does."""
    if not service.ledger.jobs.begin_accepting(job, secrets.token_hex(8), _HOLD):
        raise StillAccepting
    try:
        yield
    finally:
        with suppress(LedgerUnavailable):
            service.ledger.jobs.end_accepting(job)


def prepare(service: Service, submission: Submission, items: Sequence[Item]) -> None:
    """All that lies in storage before the submission itself: the marks of uses, the live marker, many items.

    Nothing is stored of a submission that could not be read back; raises RecordUnreadable.
    """
    job = submission.id
    record_body(submission)
    lines = _lines(items)
    _mark_uses(service, job, {item.source for item in items})
    service.storage.put(keys.live(job), b"")
    if submission.items_key is not None:
        service.storage.put(submission.items_key, lines, "application/x-ndjson")


@contextmanager
def room_kept(service: Service, submission: Submission) -> Iterator[None]:
    """Keep the job's room among its tenant's while it is being accepted; raises QuotaReached, LedgerUnavailable."""
    room, one = service.ledger.room, submission
    interactive = one.total if one.lane == "interactive" else 0
    more = Load(jobs=1, frames=one.total, interactive=interactive, bytes=one.size)
    room.keep(one.tenant, one.id, more, service.quotas(one.tenant), _HOLD)
    try:
        yield
    finally:
        with suppress(LedgerUnavailable):
            room.give_back(one.tenant, one.id)


def _id_of(service: Service, request: Request) -> str:
    """A random id, or the one that tenant and idempotency key stand for, so that a repeat finds it anywhere."""
    if request.key is None:
        return keys.new_id()
    return derived_id(service, f"{request.tenant}\0{request.key}".encode())


def derived_id(service: Service, meaning: bytes) -> str:
    """The id that the server's key makes of this; if there is a job of the key before, that job's."""
    newest, *before = (_derived(server_key, meaning) for server_key in service.server_keys)
    return next((job for job in before if earlier(service, job) is not None), newest)


def _derived(server_key: bytes, meaning: bytes) -> str:
    return keys.id_of_bytes(hmac.digest(server_key, meaning, hashlib.sha256))


def earlier(service: Service, job: str) -> Submission | None:
    """What was accepted under this id; raises Gone."""
    if service.archive.has(keys.gone(job)):
        raise Gone
    return service.archive.submission(job)


def _same(found: Submission, wanted: Wanted) -> Submission:
    if not hmac.compare_digest(found.fingerprint, wanted.fingerprint()):
        raise IdempotencyKeyReused
    return found


def _check_admissible(service: Service, tenant: str, wanted: Wanted) -> None:
    """What may have changed since a first request under the same key: asked of new jobs only."""
    wanted.lane()
    now = datetime.now(UTC)
    for number, upload in enumerate(wanted.uploads):
        if upload.is_expired(now, service.limits.upload_lifetime):
            raise UploadExpired(pointer=pointer("items", number, "upload"))
    if isinstance(wanted.options.deadline, datetime) and wanted.options.deadline <= now:
        raise OptionInvalid("The deadline has passed.", pointer=pointer("options", "deadline"))
    callback = wanted.options.callback
    check_targets(service, tenant, wanted.options.endpoint, callback.url if callback else None)


def check_targets(service: Service, tenant: str, endpoint: str | None, callback_url: str | None) -> None:
    """Raise OptionInvalid for an endpoint that is not there for the tenant, CallbackForbidden for a forbidden URL."""
    if endpoint is not None:
        check_pin(service, tenant, endpoint)
    if callback_url is not None:
        try:
            service.guard.check_url(callback_url)
        except CallbackForbidden as error:
            raise CallbackForbidden(error.detail, pointer=pointer("options", "callback", "url")) from None


def _written(service: Service, request: Request, wanted: Wanted, job: str) -> tuple[Submission, tuple[Item, ...]]:
    """The submission as it will be stored, and its items, which lie beside it when they are many."""
    items = tuple(
        Item(
            source=upload.key,
            size=upload.size,
            sha256=upload.sha256,
            kind=upload.kind,
            custom_id=asked.custom_id,
            source_name=upload.source_name,
            prompts=asked.prompts,
        )
        for asked, upload in zip(wanted.items, wanted.uploads, strict=True)
    )
    inline = len(items) <= INTERACTIVE_ITEMS
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # the ledger keeps milliseconds
    submission = Submission(
        id=job,
        tenant=request.tenant,
        created_at=now,
        lane=wanted.lane(),
        outputs=wanted.options.outputs,
        pixels=wanted.options.pixels,
        endpoint=wanted.options.endpoint,
        one_prompt_per_request=wanted.options.one_prompt_per_request,
        metadata=wanted.options.metadata,
        warnings=prompt_warnings([prompt for asked in wanted.items for prompt in asked.prompts]),
        callback=_target(service, wanted, job),
        total=len(items),
        size=sum({upload.key: upload.size for upload in wanted.uploads}.values()),
        items=items if inline else (),
        items_key=None if inline else keys.items(job, secrets.token_hex(8)),
        deadline=_deadline(wanted.options.deadline, now),
        fingerprint=wanted.fingerprint(),
        traceparent=request.traceparent,
    )
    return submission, items


def _deadline(asked: timedelta | datetime | None, now: datetime) -> datetime | None:
    return now + asked if isinstance(asked, timedelta) else asked


def _target(service: Service, wanted: Wanted, job: str) -> CallbackTarget | None:
    callback = wanted.options.callback
    if callback is None:
        return None
    sealed = None if callback.secret is None else seal(service.server_key, callback.secret, job)
    return CallbackTarget(url=callback.url, sealed=sealed, events=callback.events)


def _mark_uses(service: Service, job: str, uploads: Iterable[str]) -> None:
    side_by_side(lambda upload: service.storage.put(keys.upload_use(upload, job), b""), uploads)


def _lines(items: Iterable[Item]) -> bytes:
    return b"".join(record_body(item) + b"\n" for item in items)


def stand(service: Service, submission: Submission) -> bool:
    """Accept the job and tell the ledger; False where another was accepted under its id, which is then `standing`."""
    try:
        _create(service, submission)
    except ObjectExists:
        return False
    _tell_ledger(service, submission)
    return True


def standing(service: Service, job: str) -> Submission:
    """What was accepted under this id, where something was; raises Gone."""
    found = earlier(service, job)
    assert found is not None
    return found


def _create(service: Service, submission: Submission) -> None:
    """The point of acceptance; raises ObjectExists. Without an answer of the store, what it holds decides."""
    try:
        service.storage.create(keys.accepted(submission.id), record_body(submission), "application/json")
    except StorageUnavailable:
        if service.archive.submission(submission.id) != submission:
            raise


def _tell_ledger(service: Service, submission: Submission) -> None:
    """Record the job and wake a planner; if that fails the sweep finds the live marker."""
    with suppress(LedgerUnavailable):
        one = submission
        service.ledger.jobs.create(
            one.id, one.tenant, one.lane, one.total, one.created_at, size=one.size, deadline=one.deadline
        )
        service.ledger.wakes.wake("plan")
