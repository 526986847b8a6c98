"""Locks and positions of the sweep, and the decision when storage and ledger must be compared."""

import secrets
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)


class SweepState:
    """Locks and positions that all sweep processes share."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def lock(self, hold: timedelta) -> bool:
        """Return whether this process sweeps for the next `hold`. It is safe if two processes do."""
        return bool(self._scripts.run("lock", "mr:sweep:lock", "1", hold // _MS))

    def turn(self, duty: str, hold: timedelta) -> bool:
        """As `lock`, for another duty than the sweep."""
        return bool(self._scripts.run("lock", f"mr:sweep:{duty}", "1", hold // _MS))

    def place(self, walk: str) -> str:
        """Return the position of a walk; "" at its beginning."""
        known: bytes | None = self._scripts.ask("HGET", "mr:sweep", f"at_{walk}")
        return known.decode() if known else ""

    def move(self, walk: str, place: str) -> None:
        """Store the position of a walk."""
        self._scripts.ask("HSET", "mr:sweep", f"at_{walk}", place)

    def listing(self, *, done: bool = False) -> bool:
        """Return whether Redis was lost, so that the walk `listing` must restore the tenants' lists from storage.

        done: the walk is complete, which counts unless Redis was lost meanwhile.
        """
        return bool(self._scripts.run("listing", done))

    def begin_reconciling(self, period: timedelta) -> str | None:
        """Return a token if Redis was lost since the last comparison with storage, or if the period is over; else None.

        Also returns None while another comparison is running that reported within the last half minute.
        """
        token = secrets.token_hex(8)
        return token if self._scripts.run("reconcile", period // _MS, token) else None

    def go_on_reconciling(self, token: str) -> bool:
        """Report that the comparison continues. Return False if it no longer counts.

        That is so if Redis was lost since it began, or if another comparison was completed.
        """
        return bool(self._scripts.run("reconciling", token))

    def end_reconciling(self, token: str) -> bool:
        """Record that the comparison is complete.

        Return False if Redis was lost meanwhile: then it must be repeated.
        """
        return bool(self._scripts.run("reconciled", token))
