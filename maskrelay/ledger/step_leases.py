"""Leases on the planning, finishing and tabulating of jobs. One worker at a time holds a step, under a token."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from maskrelay.contract.records.job import Lane
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.scripts import CHANGES, Scripts, paged

Kind = Literal["plan", "finish", "tabulate"]
#: How an attempt at a step ended: it made progress, an outage interrupted it (which is not a failure), or it failed.
How = Literal["progressed", "outage", "failed"]
_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StepLease:
    """The plan, finish or tabulate step of a job, under the lease of `token`."""

    kind: Kind
    job: str
    token: str
    #: The number of attempts since the step last made progress, including this one. Attempts that an outage interrupted
    #: are not counted. Attempts that crashed their process are counted.
    tries: int


class StepLeases:
    """The queues of jobs to plan, to finish and to tabulate."""

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS
        self._owed: list[StepLease] = []

    def queue(self, kind: Kind, job: str, after: timedelta = timedelta(0)) -> bool:
        """Let the step of a job be due after a pause, unless it is due earlier or a worker holds it.

        Return False if the ledger does not know the job. The steps `plan` and `finish` are queued by transitions of the
        job instead.
        """
        return bool(self._scripts.run("queue_step", kind, job, after // _MS))

    def end(self, lease: StepLease) -> bool:
        """Remove the step from the queue, because it is complete. Return False if the step is no longer held."""
        return bool(self._scripts.run("end_step", lease.kind, lease.job, lease.token))

    def take(self, kind: Kind) -> StepLease | None:
        """Take the step of a job that is due, and count an attempt. Return None if no step is due."""
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
        """Renew the lease. Return False if the step is no longer held."""
        return bool(self._scripts.run("step_renew", lease.kind, lease.job, lease.token, self._lease_ms))

    def hand_back(self, lease: StepLease, after: timedelta = timedelta(0)) -> bool:
        """Return the step to the queue after a delay, because it has made progress.

        Attempts are counted from zero again.
        """
        return self._back(lease, after, "progressed")

    def put_off(self, lease: StepLease, after: timedelta) -> bool:
        """Return the step to the queue after a delay. The attempt remains counted."""
        return self._back(lease, after, "failed")

    def excuse(self, lease: StepLease, after: timedelta) -> None:
        """Return the step to the queue after a delay. The attempt is not counted, because an outage interrupted it.

        If Redis is unavailable now, the next call of `take` returns the step to the queue first.
        """
        try:
            self._back(lease, after, "outage")
        except LedgerUnavailable:
            self._owed.append(lease)

    def _back(self, lease: StepLease, after: timedelta, how: How) -> bool:
        return bool(self._scripts.run("step_back", lease.kind, lease.job, lease.token, after // _MS, how))

    def _pay(self) -> None:
        """Make the calls of `excuse` again that failed while Redis was unavailable."""
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
        """Add part `part` of the plan to the job, so that its `n` frames, from number `first` on, can be claimed.

        `spans` lists (first, n) for each item with several frames that begins in this part. `items` is the number of
        items in this part and all earlier parts. Return False if the step is no longer held, or if `part` is not the
        number of the next part. If planning is interrupted, it continues after the last part that was added.
        """
        pages = [page for page, _ in paged(spans, CHANGES)] if spans else []
        added = all(self._scripts.run("record_spans", lease.job, lease.token, part, json.dumps(page)) for page in pages)
        return added and bool(self._scripts.run("extend", lease.job, lease.token, part, first, n, last, lane, items))

    def opening(self, lease: StepLease, what: str) -> int:
        """Record that planning begins to open this source.

        Return the number of recorded openings of the source that have not ended, including this one. Return -1 if the
        step is no longer held under this lease.
        """
        return int(self._scripts.run("count_opening", lease.job, lease.token, what, 1))

    def opened(self, lease: StepLease, what: str) -> None:
        """Record that the opening of the source has ended, with or without success."""
        self._scripts.run("count_opening", lease.job, lease.token, what, -1)

    def assemble(self, lease: StepLease, items: Sequence[tuple[int, int]]) -> bool:
        """Postpone finishing until the files of these items have been made.

        Each entry is (item, part of the plan in which it begins). Return False if the step is no longer held.
        """
        return self._in_pages("assemble", lease, [f"{item} {part}" for item, part in items])

    def reopen(self, lease: StepLease, frames: Sequence[int]) -> bool:
        """Move the job from `finishing` back to `running`, because these settled frames have no line in storage.

        Return False if the step is no longer held. Also return False for a cancelled job, because its frames without a
        line count as cancelled.
        """
        return self._in_pages("reopen_frames", lease, frames)

    def _in_pages(self, script: str, lease: StepLease, entries: Sequence[Any]) -> bool:
        """Pass many entries to a script in several calls, each of which blocks Redis only briefly.

        The last call makes the transition.
        """
        return all(
            self._scripts.run(script, lease.job, lease.token, json.dumps(page), last)
            for page, last in paged(entries, CHANGES)
        )
