"""The decision whether all objects of a watched folder have arrived, so that they can become a job."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

#: The version of an object: its URL, its size, and its ETag or version.
Version = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The objects of one folder, as a listing shows them."""

    #: The URL of the folder, without the trailing slash.
    folder: str
    objects: tuple[Version, ...]

    def digest(self) -> bytes:
        """Return a hash of all versions, which changes if an object is added, replaced or removed."""
        return hashlib.sha256(repr(sorted(self.objects)).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting of a folder: the hash of its objects, and since when they have not changed."""

    digest: bytes
    since: datetime
    #: Whether these objects were submitted.
    submitted: bool = False


def seen_now(arrival: Arrival, before: Sighting | None, now: datetime) -> Sighting:
    """Return the sighting that follows `before`."""
    digest = arrival.digest()
    if before is not None and before.digest == digest:
        # After a clock has gone back, the settle time begins again.
        return before if before.since <= now else Sighting(digest, now, before.submitted)
    return Sighting(digest, now)


def time_left(
    arrival: Arrival, sighting: Sighting, now: datetime, settle: timedelta, expected: int | None
) -> timedelta:
    """Return the time until the folder counts as complete if nothing changes. Zero means that it is complete.

    It is complete if it has the expected number of objects, or has not changed for the settle time.
    """
    if len(arrival.objects) == expected:
        return timedelta(0)
    return max(timedelta(0), sighting.since + settle - now)
