"""The registration of a segment loop in the ledger, and the wake-ups for further loops.

Running loops report themselves, so few wake-ups are sent: only while fewer loops run than the waiting frames need.
"""

import secrets
from datetime import timedelta

from maskrelay.ledger.wakeups import WakeUps
from maskrelay.rules.lanes import loops_wanted

#: The time between two reports that a loop is running. A loop that has not reported for three times as long counts as
#: ended.
BEAT = timedelta(seconds=2)


class RunningLoop:
    """One running segment loop. Together, the loops have work for `in_flight` scores at the same time."""

    def __init__(self, wake_ups: WakeUps, in_flight: int) -> None:
        self._wake_ups = wake_ups
        self._in_flight = in_flight
        self._name = secrets.token_hex(8)

    def report(self) -> int:
        """Report that this loop is running. Return the number of running loops."""
        return self._wake_ups.running("segment", self._name, BEAT * 3)

    def work(self) -> int:
        """Return the number of frames that can be claimed."""
        return self._wake_ups.work("segment")

    def wake_another(self, hands: int) -> None:
        """Send a wake-up if the waiting frames need more loops with `hands` frames in progress each."""
        self._wake_ups.wake("segment", loops_wanted(self.work(), hands, self._in_flight))

    def pass_on(self, hands: int) -> None:
        """Report that this loop has ended.

        Then check once more for work, because work that arrived before the report may have woken no other loop.
        """
        self._wake_ups.ended("segment", self._name)
        self.wake_another(hands)
