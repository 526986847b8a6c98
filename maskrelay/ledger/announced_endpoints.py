"""The endpoints in use, which workers announce.

The API can therefore show and check endpoints without knowing their keys.
"""

import json
import time
from collections.abc import Sequence

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.scripts import Scripts

_KEY = "mr:endpoints"
#: An endpoint that no worker has announced for this many seconds is not listed.
_FORGOTTEN = 7 * 86400
_PRIVATE = {"url", "auth", "key", "key_file", "token_url", "deployment", "proxy", "cert_file", "cert_key_file"}


class Endpoints:
    """The announced endpoints."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def announce(self, endpoints: Sequence[Endpoint]) -> None:
        """Announce that these endpoints are in use, in this order. No address and no credential is stored."""
        for place, endpoint in enumerate(endpoints):
            said = {"at": time.time(), "place": place, "endpoint": endpoint.model_dump(exclude=_PRIVATE)}
            self._scripts.ask("HSET", _KEY, endpoint.name, json.dumps(said))

    def known(self) -> list[Endpoint]:
        """Return the endpoints in use, without addresses and credentials."""
        return announced(self._scripts.ask("HVALS", _KEY))


def announced(values: Sequence[bytes]) -> list[Endpoint]:
    """Return the endpoints of these announcements, in their order, without those that are too old."""
    said = [json.loads(text) for text in values]
    fresh = [entry for entry in said if entry["at"] > time.time() - _FORGOTTEN]
    fresh.sort(key=lambda entry: (entry["place"], entry["endpoint"]["name"]))
    return [Endpoint(url="", auth="entra", **entry["endpoint"]) for entry in fresh]
