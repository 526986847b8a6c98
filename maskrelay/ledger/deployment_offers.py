"""What the deployment behind an endpoint offers beyond the article's form; asked once, and known to all workers."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_KEY = "mr:offers:{endpoint}"
#: An offer is asked for again after this time, in case the deployment was replaced unnoticed.
OFFER_LIFE = timedelta(hours=1)
#: One worker asks at a time, and again only after this time, whatever came of it.
ASKING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DeploymentOffer:
    """What one deployment of one model version offers."""

    #: The version that is configured for the endpoint.
    model_version: str
    #: The deployment that answered, as the gateway names it; "" if it does not.
    deployment: str
    #: Whether it speaks the lean wire format.
    lean: bool


class DeploymentOffers:
    """The offers of all endpoints. They are lost with Redis, and then asked for again."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def known(self, endpoint: str, model_version: str) -> DeploymentOffer | None:
        """Return what is known; None if nothing is, or if it is of another version. Raises LedgerUnavailable."""
        kept = self._scripts.ask("GET", _KEY.format(endpoint=endpoint))
        offer = DeploymentOffer(**json.loads(kept)) if kept else None
        return offer if offer is not None and offer.model_version == model_version else None

    def may_ask(self, endpoint: str) -> bool:
        """Return whether the caller is to ask the deployment now. Raises LedgerUnavailable."""
        asking = _KEY.format(endpoint=endpoint) + ":asking"
        return bool(self._scripts.ask("SET", asking, "1", "NX", "PX", ASKING // timedelta(milliseconds=1)))

    def keep(self, endpoint: str, offer: DeploymentOffer) -> None:
        """Keep what a deployment offers. Raises LedgerUnavailable."""
        text = json.dumps(asdict(offer))
        self._scripts.ask("SET", _KEY.format(endpoint=endpoint), text, "EX", OFFER_LIFE // timedelta(seconds=1))

    def forget(self, endpoint: str) -> None:
        """Forget an offer, because another deployment answers. Raises LedgerUnavailable."""
        self._scripts.ask("DEL", _KEY.format(endpoint=endpoint))
