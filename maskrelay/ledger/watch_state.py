"""The times at which watches are due, and the last sightings of their folders.

If Redis loses this, every folder waits for its settle time again. Folders that were submitted are recognised by the ids
of their jobs. The sightings are kept in two generations: a complete look replaces the older generation by its own
sightings, so folders that no longer exist are forgotten.
"""

import hashlib
import secrets
import struct
from datetime import UTC, datetime, timedelta

from maskrelay.ledger.scripts import Scripts
from maskrelay.rules.arrivals import Sighting

_MS = timedelta(milliseconds=1)
#: The digest, the time in milliseconds, and whether the folder was submitted.
_SEEN = struct.Struct(">16sQ?")
#: The life of the mark of an event. A look at a watch takes less time, or renews its lease.
_WOKEN = timedelta(days=1)
#: The time for which sightings of folders are kept. A watch looks at its prefix at least once a week.
_KEPT = timedelta(days=30)


class Watches:
    """The watches of all tenants. Every method raises LedgerUnavailable."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def begin(self, watch: str, lease: timedelta) -> str | None:
        """Return a token if the watch is due and no other process looks at it, otherwise None."""
        token = secrets.token_hex(8)
        return token if self._scripts.run("begin_watch", watch, token, lease // _MS) else None

    def renew(self, watch: str, token: str, lease: timedelta) -> bool:
        """Return whether this process still looks at the watch."""
        return bool(self._scripts.run("renew_watch", watch, token, lease // _MS))

    def end(self, watch: str, token: str, pause: timedelta, *, complete: bool) -> None:
        """End a look. The watch is due after `pause`, or at once if an event has arrived since the look began.

        If the look was complete, folders that it has not found are forgotten.
        """
        self._scripts.run("end_watch", watch, token, pause // _MS, complete, _KEPT // _MS)

    def wake(self, watch: str) -> None:
        """Make the watch due now, because an event has arrived."""
        self._scripts.run("wake_watch", watch, _WOKEN // _MS)

    def last_change(self, watch: str) -> int | None:
        """Return the last change that was noticed in the Orthanc of the watch."""
        known: bytes | None = self._scripts.ask("GET", f"mr:watch:{watch}:change")
        return int(known) if known else None

    def noticed_change(self, watch: str, change: int) -> None:
        """Make the watch due now, and store the number of the change."""
        self.wake(watch)
        self._scripts.ask("SET", f"mr:watch:{watch}:change", change, "PX", _KEPT // _MS)

    def seen(self, watch: str, folder: str) -> tuple[Sighting | None, datetime]:
        """Return the last sighting of a folder, and the time by the clock that all processes share."""
        packed, now = self._scripts.run("seen_folder", watch, _field(folder))
        if packed is None:
            return None, _time(now)
        digest, since, submitted = _SEEN.unpack(packed)
        return Sighting(digest, _time(since), submitted), _time(now)

    def see(self, watch: str, folder: str, sighting: Sighting) -> None:
        """Store a sighting of a folder."""
        packed = _SEEN.pack(sighting.digest, round(sighting.since.timestamp() * 1000), sighting.submitted)
        self._scripts.run("see_folder", watch, _field(folder), packed, _KEPT // _MS)

    def forget(self, watch: str) -> None:
        """Forget a watch that was removed."""
        parts = ("rests", "lease", "woken", "seen", "seen_now", "change")
        self._scripts.ask("UNLINK", *(f"mr:watch:{watch}:{part}" for part in parts))


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _field(folder: str) -> bytes:
    return hashlib.sha256(folder.encode()).digest()[:16]
