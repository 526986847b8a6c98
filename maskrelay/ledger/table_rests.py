"""The pauses of places with result tables that could not be used. All workers share them."""

import hashlib
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_MS = timedelta(milliseconds=1)
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(minutes=5)
#: The time for which a failure makes the next pause longer.
_REMEMBERED = timedelta(hours=1)


class TableRests:
    """The pauses, by place. Every method raises LedgerUnavailable."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def left(self, place: str) -> timedelta:
        """Return how long the place is not to be used yet."""
        left: int = self._scripts.ask("PTTL", _key(place, "rests"))
        return max(0, left) * _MS

    def begin(self, place: str) -> timedelta:
        """Begin a pause after a failure, and return its length. It doubles with each failure in a row."""
        failures: int = self._scripts.ask("INCR", _key(place, "failures"))
        self._scripts.ask("PEXPIRE", _key(place, "failures"), _REMEMBERED // _MS)
        length = min(_FIRST * (1 << min(failures - 1, 10)), _LONGEST)
        self._scripts.ask("SET", _key(place, "rests"), 1, "PX", length // _MS)
        return length

    def succeeded(self, place: str) -> None:
        """Forget the failures, because the place could be used."""
        self._scripts.ask("UNLINK", _key(place, "failures"), _key(place, "rests"))


def _key(place: str, part: str) -> str:
    return f"mr:tables:{hashlib.sha256(place.encode()).hexdigest()[:32]}:{part}"
