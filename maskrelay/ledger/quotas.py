"""Quotas: a tenant's amount of work in progress, and the check whether a request fits within the tenant's limits."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Self

from maskrelay.contract.records import keys
from maskrelay.contract.records.api_key_file import KeyEntry
from maskrelay.contract.records.job import Submission
from maskrelay.errors import (
    BytesQuotaReached,
    FramesQuotaReached,
    InteractiveQuotaReached,
    JobsQuotaReached,
    LedgerFull,
    LedgerUnavailable,
    QuotaReached,
)
from maskrelay.ledger.scripts import CHANGES, Scripts, paged
from maskrelay.settings import Settings

#: If Redis uses this share of its memory limit, new work is refused, because accepted work needs the rest.
FULL_AT = 0.9
#: The lifetime of the reservation that is made while the uploads of a request are counted. The reservation lasts this
#: long only if the process dies in the meantime.
_HOLD = timedelta(minutes=1)
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Usage:
    """Amounts of work: what a tenant has in progress, what a request adds, or the tenant's limits."""

    #: Live jobs.
    jobs: int = 0
    #: Frames that wait or are in progress, and items that are not planned yet.
    frames: int = 0
    #: The number of those of `frames` that are in the interactive lane.
    interactive: int = 0
    #: The total size of the uploads of live jobs and of uploads that no job has used, in bytes.
    bytes: int = 0

    @classmethod
    def of_job(cls, submission: Submission) -> Self:
        """Return the usage of a job that is not planned yet."""
        interactive = submission.total if submission.lane == "interactive" else 0
        return cls(jobs=1, frames=submission.total, interactive=interactive, bytes=submission.size)


@dataclass(frozen=True, slots=True)
class UnusedUpload:
    """An upload that no job has used."""

    id: str
    #: The size in bytes.
    size: int
    #: The time for which the upload is still counted. Storage does not keep the upload for longer.
    left: timedelta


_REACHED: dict[str, tuple[type[QuotaReached], str]] = {
    "jobs": (JobsQuotaReached, "live jobs"),
    "frames": (FramesQuotaReached, "frames in progress"),
    "interactive": (InteractiveQuotaReached, "interactive frames in progress"),
    "bytes": (BytesQuotaReached, "bytes of uploads in progress"),
}
assert tuple(_REACHED) == tuple(field.name for field in fields(Usage))


def default_quotas(settings: Settings) -> Usage:
    """Return the limits of a tenant to which the operator has given none of its own."""
    return Usage(
        jobs=settings.tenant_jobs,
        frames=settings.tenant_frames,
        interactive=settings.tenant_interactive,
        bytes=settings.tenant_bytes,
    )


def quotas_in(entries: Iterable[KeyEntry], tenant: str, default: Usage) -> Usage:
    """Return the tenant's limits in a keys file. Limits that its entries do not set are taken from `default`."""
    given = [entry.quotas for entry in entries if entry.tenant == tenant and entry.quotas is not None]
    return replace(default, **given[0].model_dump(exclude_none=True)) if given else default


class Quotas:
    """The use of quotas: checks, reservations and unused uploads."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def check(self, tenant: str, more: Usage, most: Usage, *, memory: bool = False) -> None:
        """Raise QuotaReached if the tenant's usage plus `more` exceeds `most`. Zeros in `more` are not checked.

        With `memory`, also raise LedgerFull, as `check_memory` does.
        """
        self._ask(tenant, more, most, "", timedelta(0), full_at=FULL_AT if memory else 0)

    def keep(self, tenant: str, job: str, more: Usage, most: Usage, hold: timedelta) -> None:
        """Check like `check`, and reserve the capacity for the job.

        The reservation ends when the job is recorded in the ledger, when `release` is called, or when the time `hold`
        is over.
        """
        self._ask(tenant, more, most, job, hold)

    def release(self, tenant: str, job: str) -> None:
        """Release the reservation of the job. An accepted job is counted by its record."""
        self._scripts.run("give_back", tenant, job)

    @contextmanager
    def kept(self, submission: Submission, most: Usage, hold: timedelta) -> Iterator[None]:
        """Keep capacity for the job while it is being accepted. Raises QuotaReached or LedgerUnavailable.

        The reservation is released after an error. When the ledger has a record of the job, the record counts instead
        of the reservation. Without a record, the reservation counts until the time `hold` is over.
        """
        self.keep(submission.tenant, submission.id, Usage.of_job(submission), most, hold)
        try:
            yield
        except BaseException:
            with suppress(LedgerUnavailable):
                self.release(submission.tenant, submission.id)
            raise

    def keep_uploads(self, tenant: str, uploads: Sequence[UnusedUpload], most: Usage) -> None:
        """Count these uploads until a job takes them or they expire.

        If BytesQuotaReached is raised, none of them is counted. If Redis loses its data, the uploads are no longer
        counted.
        """
        request = keys.new_id()
        self.keep(tenant, request, Usage(bytes=sum(upload.size for upload in uploads)), most, _HOLD)
        self._count_uploads(tenant, uploads, request)
        self.release(tenant, request)

    def take_uploads(self, tenant: str, ids: Iterable[str]) -> list[UnusedUpload]:
        """Stop counting these uploads as unused. Return those that were counted."""
        taken: list[UnusedUpload] = []
        for page, _ in paged(list(ids), CHANGES):
            answer = self._scripts.run("take_uploads", tenant, json.dumps(page))
            for name, size, left in zip(answer[::3], answer[1::3], answer[2::3], strict=True):
                taken.append(UnusedUpload(name.decode(), int(size), int(left) * _MS))
        return taken

    def put_back_uploads(self, tenant: str, uploads: Sequence[UnusedUpload]) -> None:
        """Count uploads as unused again after their job was not accepted."""
        self._count_uploads(tenant, uploads, "")

    def _count_uploads(self, tenant: str, uploads: Sequence[UnusedUpload], request: str) -> None:
        for page, _ in paged(uploads, CHANGES):
            counted = [(upload.id, upload.size, upload.left // _MS) for upload in page]
            self._scripts.run("keep_uploads", tenant, json.dumps(counted), request)

    def _ask(self, tenant: str, more: Usage, most: Usage, job: str, hold: timedelta, *, full_at: float = 0) -> None:
        amounts = json.dumps(asdict(more)), json.dumps(asdict(most)), job, hold // _MS, full_at
        while (reached := self._scripts.run("reserve_quota", tenant, *amounts)) == [b"again"]:
            pass  # more reservations have lapsed than one call removes
        if not reached:
            return
        if reached == [b"memory"]:
            raise LedgerFull
        name, used = reached[0].decode(), int(reached[1])
        kind, what = _REACHED[name]
        raise kind(
            f"The quota is {getattr(most, name)} {what}: there are {used}, and this would add {getattr(more, name)}."
        )

    def tenants(self) -> set[str]:
        """Return every tenant that may have work in progress. The function scans the keys of the ledger."""
        found: set[str] = set()
        for name in self._scripts.walk("SCAN", options=["MATCH", "mr:[lu]*"]):
            kind, _, tenant = name.removeprefix("mr:").partition(":")
            if kind in {"live", "load", "used"}:
                found.add(tenant)
        return found

    def recount(self, tenant: str) -> None:
        """Set the tenant's usage to the sum of its jobs and uploads, according to their own records.

        Usually the usage already is this sum, because every transition that changes a record also changes the sum. If
        the usage is wrong nevertheless, a recount corrects it. A recount consists of many calls, each of which blocks
        Redis only briefly. Transitions that happen between the calls are included. If Redis loses its data or another
        recount begins, this one ends without effect.
        """
        number = self.begin_round(tenant)
        for page, _ in paged(list(self.members(tenant)), CHANGES):
            if not self.count_members(tenant, number, page):
                return
        self.end_round(tenant, number)

    def begin_round(self, tenant: str) -> int:
        """Begin a recount, and return its number. It includes every job and upload whose usage changes from now on."""
        number = 1 + secrets.randbits(48)
        self._scripts.run("begin_round", tenant, number)
        return number

    def members(self, tenant: str) -> Iterator[str]:
        """Yield every job and upload of the tenant that may use some of its quota. Some may be yielded twice."""
        yield from self._scripts.walk("HSCAN", f"mr:load:{tenant}")
        yield from self._scripts.walk("SSCAN", f"mr:live:{tenant}")

    def count_members(self, tenant: str, number: int, members: Sequence[str]) -> bool:
        """Include these jobs and uploads in the recount. Return False if the recount is no longer in progress."""
        return bool(self._scripts.run("count_members", tenant, number, json.dumps(members)))

    def end_round(self, tenant: str, number: int) -> bool:
        """Set the tenant's usage to the sums of the recount. Return False if the recount is no longer in progress."""
        return bool(self._scripts.run("end_round", tenant, number))

    def check_memory(self) -> None:
        """Raise LedgerFull if Redis has a memory limit and is close to it."""
        known = self._scripts.ask("INFO", "memory")
        used, most = int(known["used_memory"]), int(known.get("maxmemory", 0))
        if most and used >= FULL_AT * most:
            raise LedgerFull
