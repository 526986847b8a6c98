"""The times of the last reports of the child processes that may send scores."""

import json
from collections.abc import Sequence
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts, paged

_KEY = "mr:senders"
_PAGE = 500


class Senders:
    """The times of the last reports."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def heard(self, child: str) -> None:
        """Record that the child process has reported."""
        self._scripts.run("sender_heard", child)

    def silent(self, children: Sequence[str], silent_for: timedelta) -> list[str]:
        """Return the child processes that have not reported for the time `silent_for`.

        A child process without a record is treated as if it had just reported.
        """
        gone: list[bytes] = []
        for page, _ in paged(children, _PAGE):
            gone += self._scripts.run("senders_silent", json.dumps(page), silent_for // timedelta(milliseconds=1))
        return [child.decode() for child in gone]

    def forget(self, children: Sequence[str]) -> None:
        """Delete the records of these child processes."""
        if children:
            self._scripts.ask("ZREM", _KEY, *children)
