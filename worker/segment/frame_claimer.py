"""Claiming of frames for the segment loop: from which lanes, how many, and when it is worth asking the ledger again."""

import asyncio
import time
from collections.abc import Callable, Sequence

from maskrelay.contract.records.job import Lane
from maskrelay.ledger import Ledger
from maskrelay.ledger.claims import RUN_MOST, Claim, SuspectWaits
from maskrelay.rules.lanes import lanes_to_claim, room_to_claim
from worker.segment.admission import Admissions

#: The seconds between two polls of the ledger. A notification of new frames causes an earlier poll, but a notification
#: may be lost, and there is none for frames that become due after a pause.
GLANCE = 0.25


class FrameClaimer:
    """Claims frames for one segment loop. `notify` is called when there may be new frames.

    Lanes in which no frames were found are not polled again for a moment, unless a notification comes.
    """

    def __init__(
        self, ledger: Ledger, admissions: Admissions, endpoints: Sequence[str], notify: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._admissions = admissions
        self._endpoints = endpoints
        self._notify = notify
        self._listening: asyncio.Task[None] | None = None
        #: For each list of lanes in which no frames were found, the time until which these lanes are not polled again.
        self._nothing_until: dict[tuple[Lane, ...], float] = {}
        self._notifications = 0

    def listen(self) -> None:
        """Listen for notifications of new frames from now on."""
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._ledger.notifications.listen("frames", self._on_notification))

    def _on_notification(self, _job: str) -> None:
        self._notifications += 1
        self._nothing_until.clear()
        self._notify()

    def pause(self, busy: int, hands: int) -> float:
        """Return the seconds for which a loop with `busy` of `hands` frames in progress need not claim."""
        lanes = tuple(lanes_to_claim(busy, hands))
        return self._nothing_until.get(lanes, 0.0) - time.monotonic()

    async def claim(self, holding: int, busy: int, hands: int, most: int) -> Claim | SuspectWaits | None:
        """Claim at most `most` frames once, if a gate is open. See `Claims.take`.

        The loop holds `holding` frames. `busy` of them have no outcome yet, and there may be up to `hands` such frames.
        """
        lanes, notifications = lanes_to_claim(busy, hands), self._notifications
        most = min(most, room_to_claim(lanes, busy, hands), RUN_MOST)
        claims = self._ledger.claims
        taken = await asyncio.to_thread(claims.take_if_open, holding, lanes, most, self._endpoints)
        self._admissions.note_closed(taken.closed_for)
        if not taken.more and notifications == self._notifications:
            self._nothing_until[tuple(lanes)] = time.monotonic() + GLANCE
        return taken.claim
