"""Leases on the planning and finishing of jobs. One worker at a time holds a job's step, under a token."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from maskrelay.contract.records.job import Lane
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.scripts import CHANGES, Scripts, paged

Kind = Literal["plan", "finish"]
#: How a step ended: with progress, interrupted by an outage (which is not a failure), or failed.
How = Literal["progressed", "outage", "failed"]
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StepLease:
    """The plan or finish step of a job, under the lease of `token`."""

    kind: Kind
    job: str
    token: str
    #: How often the step was taken since it last made progress, this time included. A try that an outage interrupted is
    #: not counted; a try that ended its process is.
    tries: int


class StepLeases:
    """Takes and returns the plan and finish steps of jobs."""

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS
        self._owed: list[StepLease] = []

    def take(self, kind: Kind) -> StepLease | None:
        """Take the step of a job that is due, and count a try. Return None when no step is due."""
        self._pay()
        token = secrets.token_hex(8)
        found: list[Any] | None = []
        while found == []:  # only entries of unknown jobs were found
            found = self._scripts.run("step", kind, token, self._lease_ms)
        if found is None:
            return None
        job, tries = found
        return StepLease(kind, job.decode(), token, int(tries))

    def renew(self, lease: StepLease) -> bool:
        """Renew the lease; return False if the step is no longer held."""
        return bool(self._scripts.run("step_renew", lease.kind, lease.job, lease.token, self._lease_ms))

    def hand_back(self, lease: StepLease, after: timedelta = timedelta(0)) -> bool:
        """Return the step to the queue, to be taken after a delay. Its tries are counted from zero again."""
        return self._back(lease, after, "progressed")

    def put_off(self, lease: StepLease, after: timedelta) -> bool:
        """Return the step to the queue after a delay. The try remains counted."""
        return self._back(lease, after, "failed")

    def excuse(self, lease: StepLease, after: timedelta) -> None:
        """As `put_off`, without counting the try, because an outage interrupted it.

        If Redis is unavailable, this is remembered and done by a later `take`.
        """
        try:
            self._back(lease, after, "outage")
        except LedgerUnavailable:
            self._owed.append(lease)

    def _back(self, lease: StepLease, after: timedelta, how: How) -> bool:
        return bool(self._scripts.run("step_back", lease.kind, lease.job, lease.token, after // _MS, how))

    def _pay(self) -> None:
        """Make up for the calls that failed while Redis was unavailable."""
        while self._owed:
            self._back(self._owed[-1], timedelta(0), "outage")
            self._owed.pop()

    def extend(
        self,
        lease: StepLease,
        part: int,
        *,
        first: int,
        n: int,
        spans: Sequence[tuple[int, int]],
        last: bool,
        lane: Lane,
        items: int,
    ) -> bool:
        """Make `n` frames from `first` on claimable. `spans` (first, n): the items with several frames among them.

        items: the number of items up to here; with the last part, the job's total.

        Returns False unless the step is still held and `part` is the next number: the ledger's count is the checkpoint.
        """
        pages = [page for page, _ in paged(spans, CHANGES)] if spans else []
        added = all(self._scripts.run("spans", lease.job, lease.token, part, json.dumps(page)) for page in pages)
        return added and bool(self._scripts.run("extend", lease.job, lease.token, part, first, n, last, lane, items))

    def opening(self, lease: StepLease, what: str) -> int:
        """Record that planning opens this source; return how often that was recorded without an end.

        This time is included. Returns -1 when another worker holds the step.
        """
        return int(self._scripts.run("opening", lease.job, lease.token, what, 1))

    def opened(self, lease: StepLease, what: str) -> None:
        """Record that the opening of the source has ended, with or without success."""
        self._scripts.run("opening", lease.job, lease.token, what, -1)

    def assemble(self, lease: StepLease, items: Sequence[tuple[int, int]]) -> bool:
        """Postpone finishing until these items have their whole-item files.

        items: (item, part of the plan in which it begins). Returns False unless the step is still held.
        """
        return self._in_pages("assemble", lease, [f"{item} {part}" for item, part in items])

    def reopen(self, lease: StepLease, frames: Sequence[int]) -> bool:
        """Move the job from `finishing` back to `running`, because these settled frames have no line in storage.

        Returns False unless the step is still held, and for a cancelled job, in which such frames count as cancelled.
        """
        return self._in_pages("reopen", lease, frames)

    def _in_pages(self, script: str, lease: StepLease, entries: Sequence[Any]) -> bool:
        """Pass many entries to a script in calls that each block Redis only briefly.

        The last call makes the transition.
        """
        return all(
            self._scripts.run(script, lease.job, lease.token, json.dumps(page), last)
            for page, last in paged(entries, CHANGES)
        )
