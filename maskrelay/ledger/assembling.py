"""Items that wait for their whole-item files: one worker at a time holds an item, under a lease with a token."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

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

    def take(self) -> Taken | None:
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

    def done(self, taken: Taken) -> bool:
        """Its files are stored and recorded; True when the job can finish with it. Safe to repeat, by anybody."""
        return bool(self._scripts.run("assemble_done", taken.job, taken.member))
