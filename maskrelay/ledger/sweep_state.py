"""The locks and positions of the sweep, and when storage and the ledger must be compared."""

import secrets
from collections.abc import Collection
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)


class SweepState:
    """The locks and positions that all sweep processes share.

    A walk goes through many objects or records over several passes of the sweep. Its position is where it continues.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def lock(self, hold: timedelta) -> bool:
        """Take the lock of the sweep for the time `hold`.

        Return whether the lock was free. It does no harm if two processes sweep at the same time.
        """
        return self.turn("lock", hold)

    def turn(self, duty: str, hold: timedelta) -> bool:
        """Take the lock of one duty of the sweep for the time `hold`. Return whether the lock was free."""
        return bool(self._scripts.run("lock", f"mr:sweep:{duty}", "1", hold // _MS, hold // _MS))

    def place(self, walk: str) -> str:
        """Return the position of a walk, or "" at its beginning."""
        known: bytes | None = self._scripts.ask("HGET", "mr:sweep", f"at_{walk}")
        return known.decode() if known else ""

    def move(self, walk: str, place: str) -> None:
        """Store the position of a walk."""
        self._scripts.ask("HSET", "mr:sweep", f"at_{walk}", place)

    def listing(self, *, done: bool = False) -> bool:
        """Return whether the walk `listing` must still restore the tenants' lists of jobs from storage.

        The lists must be restored if Redis has lost its data. `done` reports that the walk is complete. This is ignored
        if Redis has lost its data again in the meantime.
        """
        return bool(self._scripts.run("relisting_needed", done))

    def compare_soon(self, jobs: Collection[str]) -> None:
        """Let the next pass of the sweep compare these jobs with storage, because the ledger's records are outdated."""
        self._scripts.ask("SADD", "mr:uncompared", *jobs)

    def take_uncompared(self) -> str | None:
        """Return a job that `compare_soon` has named, and forget it. Return None if there is none."""
        job: bytes | None = self._scripts.ask("SPOP", "mr:uncompared")
        return job.decode() if job else None

    def begin_reconciling(self, period: timedelta) -> str | None:
        """Return a token if storage and the ledger must be compared now, otherwise None.

        They must be compared if Redis has lost its data since the last comparison, or if the last comparison is longer
        ago than `period`. If another comparison has reported within the last half minute, it is still running, and the
        result is None.
        """
        token = secrets.token_hex(8)
        return token if self._scripts.run("begin_comparison", period // _MS, token) else None

    def go_on_reconciling(self, token: str) -> bool:
        """Report that the comparison continues. Return False if it is obsolete.

        It is obsolete if, since it began, Redis has lost its data or another comparison was completed.
        """
        return bool(self._scripts.run("continue_comparison", token))

    def end_reconciling(self, token: str) -> bool:
        """Record that the comparison is complete.

        Return False if it does not count, because Redis has lost its data in the meantime, or because another
        comparison was completed first.
        """
        return bool(self._scripts.run("end_comparison", token))
