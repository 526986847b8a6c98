"""The outbox: events that are due for delivery, being delivered under a lease, or done."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)
#: A delivery that waits for a place is looked at again after so long.
PLACE_PAUSE = timedelta(seconds=1)
#: A host that failed so often in a row is left alone, twice as long after each further failure.
FAILURES = 5
REST, LONGEST_REST = timedelta(seconds=30), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt, counted from 1, to tell a job's caller of an event; ours under `token`.

    traceparent: of the span in which the event came about.
    """

    job: str
    event: str
    attempt: int
    token: str
    traceparent: str | None = None


class Outbox:
    def __init__(self, scripts: Scripts, lease: timedelta) -> None:
        self._scripts = scripts
        self._lease_ms = lease // _MS

    def add(self, job: str, event: str, traceparent: str | None = None) -> None:
        """Deliver an event whose body is in storage. Nothing changes if it is on its way already."""
        self._scripts.run("announce", f"{job} {event}", traceparent or "")

    def replay(self, job: str, event: str) -> None:
        """Deliver an event again, or now if it waits, with every attempt of the schedule before it."""
        self._scripts.run("replay", f"{job} {event}")

    def standing(self, job: str, event: str) -> tuple[int, str]:
        """The attempts made so far, and what was noted of the last; 0 and "" where nothing is known."""
        member = f"{job} {event}"
        attempts: bytes | None = self._scripts.ask("HGET", "mr:outbox:attempts", member)
        last: bytes | None = self._scripts.ask("HGET", "mr:outbox:last", member)
        return int(attempts or 0), (last or b"").decode()

    def note(self, delivery: Delivery, last: str) -> None:
        """Keep what came of an attempt, until the event is over."""
        self._scripts.ask("HSET", "mr:outbox:last", f"{delivery.job} {delivery.event}", last)

    def take(self) -> Delivery | None:
        """A delivery that is due, and has room where it waits for a place; None if there is none now."""
        token = secrets.token_hex(8)
        known: list[Any] | None = []
        while known == []:  # those that wait for a place are looked at a hundred at a time
            known = self._scripts.run("deliver", token, self._lease_ms, PLACE_PAUSE // _MS)
        if known is None:
            return None
        job, event = known[0].decode().split(" ")
        return Delivery(job, event, int(known[1]), token, known[2].decode() or None)

    def again(self, delivery: Delivery, after: timedelta, *, charge: bool = True) -> bool:
        """Another attempt after a while; without `charge` this one was none."""
        return self._end(delivery, after // _MS, charge=charge)

    def await_place(self, delivery: Delivery, place: str, most: int) -> bool:
        """Take the attempt back; another is due once fewer than `most` are under way there (`enter_host`)."""
        return self._end(delivery, PLACE_PAUSE // _MS, charge=False, place=f"{place} {most}")

    def over(self, delivery: Delivery) -> bool:
        """The event is delivered or given up."""
        return self._end(delivery, -1, charge=True)

    def enter_host(self, host: str, delivery: Delivery, most: int) -> bool:
        """Whether the delivery may begin: at most `most` to one host at once.

        `host` is any name for it, or for whatever else so many deliveries may have at once.
        """
        return bool(self._scripts.run("enter_host", host, delivery.token, most, self._lease_ms))

    def leave_host(self, host: str, delivery: Delivery) -> None:
        self._scripts.ask("ZREM", f"mr:callbacks:{host}", delivery.token)

    def host_rests(self, host: str) -> timedelta:
        """For how long the host is still left alone; zero when it is not."""
        left = int(self._scripts.ask("PTTL", f"mr:resting:{host}"))
        return timedelta(0) if left * _MS > LONGEST_REST else max(0, left) * _MS  # longer: Redis' clock went back

    def host_failed(self, host: str) -> None:
        """The host did not answer, or not well. After five times in a row it is left alone for a while."""
        self._scripts.run("host_failed", host, FAILURES, REST // _MS, LONGEST_REST // _MS)

    def host_answered(self, host: str) -> None:
        self._scripts.ask("DEL", f"mr:failing:{host}", f"mr:resting:{host}")
        self._scripts.ask("ZREM", "mr:failing", host)

    def _end(self, delivery: Delivery, after_ms: int, *, charge: bool, place: str = "") -> bool:
        member = f"{delivery.job} {delivery.event}"
        return bool(self._scripts.run("delivered", member, delivery.token, after_ms, charge, place))
