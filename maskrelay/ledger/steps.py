"""Leases on the planning and finishing of jobs. One worker at a time holds a job's step, under a token."""

import json
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from maskrelay.contract.jobs import Lane
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.scripts import CHANGES, Scripts, paged

Kind = Literal["plan", "finish"]
#: How a step came back: with progress, or cut short by an outage, which is no failure; else it failed.
How = Literal["progressed", "outage", "failed"]
_MS = timedelta(milliseconds=1)


class Steps:
    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS
        self._owed: list[tuple[Kind, str, str]] = []

    def take(self, kind: Kind) -> tuple[str, str] | None:
        """The job whose step is due, and the token under which it is now ours; None when there is none.

        It counts as a try, see `tries`.
        """
        self._pay()
        token = secrets.token_hex(8)
        job: bytes | None = b""
        while job == b"":  # it looked at entries of unknown jobs only
            job = self._scripts.run("step", kind, token, self._lease_ms)
        return (job.decode(), token) if job else None

    def renew(self, kind: Kind, job: str, token: str) -> bool:
        return bool(self._scripts.run("step_renew", kind, job, token, self._lease_ms))

    def hand_back(self, kind: Kind, job: str, token: str, after: timedelta = timedelta(0)) -> bool:
        """Let the step be taken again, `after` a while; its tries are counted anew."""
        return self._back(kind, job, token, after, "progressed")

    def put_off(self, kind: Kind, job: str, token: str, after: timedelta) -> bool:
        """Let the step be taken again after a while; the try stays counted."""
        return self._back(kind, job, token, after, "failed")

    def excuse(self, kind: Kind, job: str, token: str, after: timedelta) -> None:
        """As `put_off`, without counting the try: an outage cut it short. While Redis is away this is remembered."""
        try:
            self._back(kind, job, token, after, "outage")
        except LedgerUnavailable:
            self._owed.append((kind, job, token))

    def tries(self, kind: Kind, job: str) -> int:
        """How often the step was taken since it last made progress, the present try included.

        A try that an outage ended is not counted; one that ended its process is.
        """
        return int(self._scripts.ask("HGET", f"mr:job:{job}", f"{kind}_tries") or 0)

    def _back(self, kind: Kind, job: str, token: str, after: timedelta, how: How) -> bool:
        return bool(self._scripts.run("step_back", kind, job, token, after // _MS, how))

    def _pay(self) -> None:
        """Say what could not be said while Redis was away."""
        while self._owed:
            self._back(*self._owed[-1], timedelta(0), "outage")
            self._owed.pop()

    def extend(
        self,
        job: str,
        token: str,
        part: int,
        *,
        first: int,
        n: int,
        spans: Sequence[tuple[int, int]],
        last: bool,
        lane: Lane,
        items: int,
    ) -> bool:
        """Make `n` frames from `first` claimable. `spans` (first, n): the items of several frames among them.

        items: how many there are up to here; with the last part, the job's total.

        Refused (False) unless the step is ours and `part` is the next number: the ledger's count is the checkpoint.
        """
        pages = [page for page, _ in paged(spans, CHANGES)] if spans else []
        added = all(self._scripts.run("spans", job, token, part, json.dumps(page)) for page in pages)
        return added and bool(self._scripts.run("extend", job, token, part, first, n, last, lane, items))

    def opening(self, job: str, token: str, what: str) -> int:
        """Say that planning opens this source; how often that was said without an end, now included.

        -1 when the step is not ours any more.
        """
        return int(self._scripts.run("opening", job, token, what, 1))

    def opened(self, job: str, token: str, what: str) -> None:
        self._scripts.run("opening", job, token, what, -1)

    def assemble(self, job: str, token: str, items: Sequence[tuple[int, int]]) -> bool:
        """Put finishing off until these items have their whole-item files; (item, part of the plan it begins in).

        Refused (False) unless the step is ours.
        """
        return self._in_pages("assemble", job, token, [f"{item} {part}" for item, part in items])

    def reopen(self, job: str, token: str, frames: Sequence[int]) -> bool:
        """From `finishing` back to `running`: these settled frames have no line in storage and wait again.

        Refused (False) unless the step is ours, and for a cancelled job: there such frames count as cancelled.
        """
        return self._in_pages("reopen", job, token, frames)

    def _in_pages(self, script: str, job: str, token: str, entries: Sequence[Any]) -> bool:
        """Pass many entries to a script in calls that each hold Redis only briefly; the last call makes the move."""
        return all(
            self._scripts.run(script, job, token, json.dumps(page), last) for page, last in paged(entries, CHANGES)
        )
