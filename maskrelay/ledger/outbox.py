"""The outbox, which contains the events that wait for delivery, or that are being delivered under a lease."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)
#: The pause after which a delivery that waits for a free place is examined again. A place is the right to deliver at
#: this time. Only a limited number of deliveries to one host, or for one tenant, have a place at the same time.
PLACE_PAUSE = timedelta(seconds=1)
#: The number of consecutive failures after which there is a pause in the deliveries to a host. The pause doubles with
#: each further failure.
FAILURES = 5
REST, LONGEST_REST = timedelta(seconds=30), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event of a job to its receiver, under the lease of `token`."""

    job: str
    event: str
    #: The number of the attempt, counted from 1.
    attempt: int
    token: str
    #: The trace context of the span in which the event was created.
    traceparent: str | None = None


class Outbox:
    """The queue of events to deliver, with limits for the deliveries to each host and for each tenant."""

    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS

    def add(self, job: str, event: str, traceparent: str | None = None) -> None:
        """Queue an event whose body is in storage. An event that is already queued is not changed."""
        self._scripts.run("announce", f"{job} {event}", traceparent or "")

    def replay(self, job: str, event: str) -> None:
        """Deliver an event again. If it waits for its next attempt, deliver it immediately.

        The schedule of attempts starts again. An event that is being delivered is not changed.
        """
        self._scripts.run("replay", f"{job} {event}")

    def standing(self, job: str, event: str) -> tuple[int, str]:
        """Return the number of attempts so far and the note about the last one, or 0 and "" if nothing is recorded."""
        member = f"{job} {event}"
        attempts: bytes | None = self._scripts.ask("HGET", "mr:outbox:attempts", member)
        last: bytes | None = self._scripts.ask("HGET", "mr:outbox:last", member)
        return int(attempts or 0), (last or b"").decode()

    def note(self, delivery: Delivery, last: str) -> None:
        """Store a note about an attempt until the event is over."""
        self._scripts.ask("HSET", "mr:outbox:last", f"{delivery.job} {delivery.event}", last)

    def take(self) -> Delivery | None:
        """Take a delivery that is due.

        A delivery that waits for a place is skipped while the place is not free. Return None if there is no other
        delivery.
        """
        token = secrets.token_hex(8)
        known: list[Any] | None = []
        while known == []:  # deliveries that wait for a place are examined a hundred at a time
            known = self._scripts.run("take_delivery", token, self._lease_ms, PLACE_PAUSE // _MS)
        if known is None:
            return None
        job, event = known[0].decode().split(" ")
        return Delivery(job, event, int(known[1]), token, known[2].decode() or None)

    def keep(self, delivery: Delivery) -> bool:
        """Renew the lease of a delivery that takes long. Return False if another worker has taken the delivery."""
        member = f"{delivery.job} {delivery.event}"
        return bool(self._scripts.run("keep_delivery", member, delivery.token, self._lease_ms))

    def again(self, delivery: Delivery, after: timedelta, *, charge: bool = True) -> bool:
        """Schedule another attempt after a delay. Without `charge`, this attempt is not counted."""
        return self._end(delivery, after // _MS, charge=charge)

    def await_place(self, delivery: Delivery, place: str, most: int) -> bool:
        """End the attempt without counting it.

        The next attempt is due when fewer than `most` deliveries are in progress at `place` (see `enter_host`).
        """
        return self._end(delivery, PLACE_PAUSE // _MS, charge=False, place=f"{place} {most}")

    def over(self, delivery: Delivery) -> bool:
        """Record that the event was delivered or given up."""
        return self._end(delivery, -1, charge=True)

    def enter_host(self, host: str, delivery: Delivery, most: int) -> bool:
        """Take a place at the host for the delivery. Return False if `most` deliveries already have a place there.

        `host` can be any name, so the same limit can also be applied to something else, such as a tenant.
        """
        return bool(self._scripts.run("enter_host", host, delivery.token, most, self._lease_ms))

    def leave_host(self, host: str, delivery: Delivery) -> None:
        """Free the delivery's place at the host."""
        self._scripts.ask("ZREM", f"mr:callbacks:{host}", delivery.token)

    def host_rests(self, host: str) -> timedelta:
        """Return the remaining time of the pause in the deliveries to the host, or zero."""
        left = int(self._scripts.ask("PTTL", f"mr:resting:{host}"))
        # A time longer than the longest pause means that Redis's clock was set back.
        return timedelta(0) if left * _MS > LONGEST_REST else max(0, left) * _MS

    def host_failed(self, host: str) -> None:
        """Record that the host did not respond or failed. After five failures in a row, deliveries to it pause."""
        self._scripts.run("host_failed", host, FAILURES, REST // _MS, LONGEST_REST // _MS)

    def host_answered(self, host: str) -> None:
        """Record that the host responded. This clears its failures."""
        self._scripts.ask("DEL", f"mr:failing:{host}", f"mr:resting:{host}")
        self._scripts.ask("ZREM", "mr:failing", host)

    def _end(self, delivery: Delivery, after_ms: int, *, charge: bool, place: str = "") -> bool:
        member = f"{delivery.job} {delivery.event}"
        return bool(self._scripts.run("end_delivery", member, delivery.token, after_ms, charge, place))
