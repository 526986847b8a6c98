"""When watches are due, and what was seen of their folders.

If Redis loses this, every folder waits for its settle time again. Folders that were submitted are recognised by the ids
of their jobs.
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

    def end(self, watch: str, token: str, pause: timedelta) -> None:
        """End a look. The watch is due after `pause`, or at once if an event has arrived since the look began."""
        self._scripts.run("end_watch", watch, token, pause // _MS)

    def wake(self, watch: str) -> None:
        """Make the watch due now, because an event has arrived."""
        self._scripts.run("wake_watch", watch, _WOKEN // _MS)

    def seen(self, watch: str, folder: str) -> Sighting | None:
        """Return what was seen of a folder before."""
        packed = self._scripts.ask("HGET", f"mr:watch:{watch}:seen", _field(folder))
        if packed is None:
            return None
        digest, since, submitted = _SEEN.unpack(packed)
        return Sighting(digest, datetime.fromtimestamp(since / 1000, UTC), submitted)

    def see(self, watch: str, folder: str, sighting: Sighting) -> None:
        """Store what is seen of a folder now."""
        packed = _SEEN.pack(sighting.digest, round(sighting.since.timestamp() * 1000), sighting.submitted)
        self._scripts.ask("HSET", f"mr:watch:{watch}:seen", _field(folder), packed)

    def forget(self, watch: str) -> None:
        """Forget a watch that was removed."""
        self._scripts.ask("UNLINK", *(f"mr:watch:{watch}:{part}" for part in ("rests", "lease", "woken", "seen")))


def _field(folder: str) -> bytes:
    return hashlib.sha256(folder.encode()).digest()[:16]
