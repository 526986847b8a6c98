"""Locks and positions of the sweep, and the decision when storage and ledger must be compared."""

import secrets
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)


class Sweeps:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def lock(self, hold: timedelta) -> bool:
        """Whether this process sweeps for the next `hold`; everything in a sweep is safe if two do."""
        return bool(self._scripts.run("lock", "mr:sweep:lock", "1", hold // _MS))

    def turn(self, duty: str, hold: timedelta) -> bool:
        """As `lock`, for another duty than the sweep."""
        return bool(self._scripts.run("lock", f"mr:sweep:{duty}", "1", hold // _MS))

    def place(self, walk: str) -> str:
        """Where a walk stands; "" at its beginning."""
        known: bytes | None = self._scripts.ask("HGET", "mr:sweep", f"at_{walk}")
        return known.decode() if known else ""

    def move(self, walk: str, place: str) -> None:
        self._scripts.ask("HSET", "mr:sweep", f"at_{walk}", place)

    def listing(self, *, done: bool = False) -> bool:
        """Whether the tenants' lists are to be written again from storage, by the walk `listing`: Redis is another one
        than when they last were. `done`: that walk has come to its end; it counts unless Redis was lost meanwhile.
        """
        return bool(self._scripts.run("listing", done))

    def begin_reconciling(self, period: timedelta) -> str | None:
        """A token if Redis is not the one that storage was last compared with, or if it is time; else None.

        None also while another comparison is under way that was heard of within half a minute.
        """
        token = secrets.token_hex(8)
        return token if self._scripts.run("reconcile", period // _MS, token) else None

    def go_on_reconciling(self, token: str) -> bool:
        """Say that the comparison goes on; False if it does not count any more.

        Then Redis was lost since it began, or another comparison came to its end.
        """
        return bool(self._scripts.run("reconciling", token))

    def end_reconciling(self, token: str) -> bool:
        """False if Redis was lost meanwhile: then it has to be done again."""
        return bool(self._scripts.run("reconciled", token))
