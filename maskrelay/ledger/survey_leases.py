"""Leases on the surveys of a run's chunks. Several workers survey the chunks of one run while its plan step is held.

If Redis loses the offers, the plan step makes the surveys itself, so nothing depends on them.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)
#: A survey that was taken this many times but never completed, because the processes died, is left to the plan step.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class SurveyLease:
    """The survey of one chunk of a run, which is held under the token `token`."""

    job: str
    chunk: int
    token: str


class SurveyLeases:
    """The chunks whose surveys wait. Every method raises LedgerUnavailable."""

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS

    def offer(self, job: str, chunks: range) -> int:
        """Offer the surveys of these chunks to all workers. Return how many of them no worker holds."""
        return int(self._scripts.run("offer_surveys", job, chunks.start, chunks.stop - 1))

    def take(self, job: str = "", among: range = range(0)) -> SurveyLease | None:
        """Take a survey that waits: of any job, or of the chunks `among` of one job."""
        token = secrets.token_hex(8)
        found: list[bytes] | None = []
        while found == []:  # only surveys of jobs that are not planned any more were found
            limits = token, self._lease_ms, _TRIES
            found = self._scripts.run("take_survey", *limits, job, among.start, among.stop - 1)
        if found is None:
            return None
        of, chunk = found
        return SurveyLease(of.decode(), int(chunk), token)

    def renew(self, lease: SurveyLease) -> bool:
        """Renew the lease. Return False if the survey is no longer held."""
        return bool(self._scripts.run("renew_survey", lease.job, lease.chunk, lease.token, self._lease_ms))

    def done(self, lease: SurveyLease) -> None:
        """Record that the survey is in storage."""
        self._scripts.run("end_survey", lease.job, lease.chunk, lease.token, -1)

    def hand_back(self, lease: SurveyLease, after: timedelta = timedelta(0)) -> None:
        """Let the survey be taken again after a delay."""
        self._scripts.run("end_survey", lease.job, lease.chunk, lease.token, after // _MS)

    def withdraw(self, job: str, chunk: int) -> bool:
        """Return whether no other worker holds this survey. If so, it cannot be taken any more."""
        return bool(self._scripts.run("withdraw_survey", job, chunk))

    def opening(self, lease: SurveyLease, what: str) -> int:
        """Record that the opening of a source begins. See `StepLeases.opening`."""
        return int(self._scripts.run("count_opening", lease.job, lease.token, what, 1, lease.chunk))

    def opened(self, lease: SurveyLease, what: str) -> None:
        """Record that the opening of the source has ended, with or without success."""
        self._scripts.run("count_opening", lease.job, lease.token, what, -1, lease.chunk)
