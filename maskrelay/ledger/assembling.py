"""Leases on items that wait for their whole-item files. One worker at a time holds an item, under a token."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that is ours; it begins in part `part` of the plan. `tries`: how often it was taken, now included."""

    job: str
    item: int
    part: int
    token: str
    tries: int

    @property
    def member(self) -> str:
        return f"{self.item} {self.part}"


class Assembling:
    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS
        self._owed: list[Taken] = []

    def take(self) -> Taken | None:
        self._pay()
        token = secrets.token_hex(8)
        found: list[bytes] | None = []
        while found == []:  # it looked at items of ended jobs only
            found = self._scripts.run("assemble_take", token, self._lease_ms)
        if found is None:
            return None
        job, member, tries = found
        item, part = member.split()
        return Taken(job.decode(), int(item), int(part), token, int(tries))

    def renew(self, taken: Taken) -> bool:
        return bool(self._scripts.run("assemble_renew", taken.job, taken.member, taken.token, self._lease_ms))

    def put_off(self, taken: Taken, after: timedelta) -> bool:
        """Let the item be taken again after a while; the try stays counted."""
        return self._back(taken, after, counted=True)

    def excuse(self, taken: Taken, after: timedelta) -> None:
        """As `put_off`, without counting the try: an outage cut it short. While Redis is away this is remembered."""
        try:
            self._back(taken, after, counted=False)
        except LedgerUnavailable:
            self._owed.append(taken)

    def _back(self, taken: Taken, after: timedelta, *, counted: bool) -> bool:
        arguments = taken.job, taken.member, taken.token, after // _MS, counted
        return bool(self._scripts.run("assemble_back", *arguments))

    def _pay(self) -> None:
        """Say what could not be said while Redis was away."""
        while self._owed:
            self._back(self._owed[-1], timedelta(0), counted=False)
            self._owed.pop()

    def done(self, taken: Taken) -> bool:
        """Its files are stored and recorded; True when the job can finish with it. Safe to repeat, by anybody."""
        return bool(self._scripts.run("assemble_done", taken.job, taken.member))
