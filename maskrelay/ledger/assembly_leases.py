"""Leases on items whose files must be made. One worker at a time holds an item, under a token."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class AssemblyLease:
    """An item that is held under the token `token`."""

    job: str
    item: int
    #: The part of the plan in which the item begins.
    part: int
    token: str
    #: The number of times that the item was taken, including this time. Attempts that an outage interrupted are not
    #: counted.
    tries: int

    @property
    def member(self) -> str:
        return f"{self.item} {self.part}"


class AssemblyLeases:
    """The queue of items that wait for assembly."""

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS
        self._owed: list[AssemblyLease] = []

    def take(self) -> AssemblyLease | None:
        """Take the next item, and count an attempt. Return None if no item is due."""
        self._pay()
        token = secrets.token_hex(8)
        found: list[bytes] | None = []
        while found == []:  # only items of ended jobs were found
            found = self._scripts.run("assemble_take", token, self._lease_ms)
        if found is None:
            return None
        job, member, tries = found
        item, part = member.split()
        return AssemblyLease(job.decode(), int(item), int(part), token, int(tries))

    def renew(self, lease: AssemblyLease) -> bool:
        """Renew the lease. Return False if the item is no longer held."""
        return bool(self._scripts.run("assemble_renew", lease.job, lease.member, lease.token, self._lease_ms))

    def put_off(self, lease: AssemblyLease, after: timedelta) -> bool:
        """Return the item to the queue after a delay. The attempt remains counted."""
        return self._back(lease, after, counted=True)

    def excuse(self, lease: AssemblyLease, after: timedelta) -> None:
        """Return the item to the queue after a delay. The attempt is not counted, because an outage interrupted it.

        If Redis is unavailable now, the next call of `take` returns the item to the queue first.
        """
        try:
            self._back(lease, after, counted=False)
        except LedgerUnavailable:
            self._owed.append(lease)

    def _back(self, lease: AssemblyLease, after: timedelta, *, counted: bool) -> bool:
        arguments = lease.job, lease.member, lease.token, after // _MS, counted
        return bool(self._scripts.run("assemble_back", *arguments))

    def _pay(self) -> None:
        """Make the calls of `excuse` again that failed while Redis was unavailable."""
        while self._owed:
            self._back(self._owed[-1], timedelta(0), counted=False)
            self._owed.pop()

    def done(self, lease: AssemblyLease) -> bool:
        """Record that the item's files are stored. Return whether the job can be finished now.

        Any process may call this, and may call it again.
        """
        return bool(self._scripts.run("assemble_done", lease.job, lease.member))
