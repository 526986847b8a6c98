"""The endpoints in use. Workers announce them, so that the API can show and check them without knowing any key."""

import json
import time
from collections.abc import Sequence

from maskrelay.endpoints import Endpoint
from maskrelay.ledger.scripts import Scripts

_KEY = "mr:endpoints"
#: An endpoint that no worker has announced for this many seconds is no longer listed.
_FORGOTTEN = 7 * 86400
_PRIVATE = {"url", "auth", "key", "key_file", "token_url", "deployment", "proxy", "cert_file", "cert_key_file"}


class Endpoints:
    """Announces and lists the endpoints in use."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def announce(self, endpoints: Sequence[Endpoint]) -> None:
        """Announce that these endpoints are in use, in this order. No address and no credential is stored."""
        for place, endpoint in enumerate(endpoints):
            said = {"at": time.time(), "place": place, "endpoint": endpoint.model_dump(exclude=_PRIVATE)}
            self._scripts.ask("HSET", _KEY, endpoint.name, json.dumps(said))

    def known(self) -> list[Endpoint]:
        """Return the endpoints in use, without address and credential."""
        said = [json.loads(one) for one in self._scripts.ask("HVALS", _KEY)]
        fresh = [one for one in said if one["at"] > time.time() - _FORGOTTEN]
        fresh.sort(key=lambda one: (one["place"], one["endpoint"]["name"]))
        return [Endpoint(url="", auth="entra", **one["endpoint"]) for one in fresh]
