"""The wire formats that deployments offer in addition to image2d.

One worker asks a deployment, and all workers share the answer.
"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from maskrelay.ledger.scripts import Scripts

_KEY = "mr:offers:{endpoint}"
#: The time after which a deployment is asked again, because it may have been replaced unnoticed.
OFFER_LIFE = timedelta(hours=1)
#: The shortest time between two requests that ask a deployment. Within this time, only one worker asks.
ASKING = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DeploymentOffer:
    """The offer of one deployment of a model version."""

    #: The version that is configured for the endpoint.
    model_version: str
    #: The name of the deployment that answered. It is empty if the gateway does not return the name.
    deployment: str
    #: Whether the deployment accepts and returns the wire format lean2d.
    lean: bool


class DeploymentOffers:
    """The offers of all endpoints. If Redis loses its data, workers ask the deployments again."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def known(self, endpoint: str, model_version: str) -> DeploymentOffer | None:
        """Return the known offer, or None if there is none for this model version. Raises LedgerUnavailable."""
        kept = self._scripts.ask("GET", _KEY.format(endpoint=endpoint))
        offer = DeploymentOffer(**json.loads(kept)) if kept else None
        return offer if offer is not None and offer.model_version == model_version else None

    def may_ask(self, endpoint: str) -> bool:
        """Return whether the caller should ask the deployment now, because no other worker does.

        Raises LedgerUnavailable.
        """
        asking = _KEY.format(endpoint=endpoint) + ":asking"
        return bool(self._scripts.ask("SET", asking, "1", "NX", "PX", ASKING // timedelta(milliseconds=1)))

    def keep(self, endpoint: str, offer: DeploymentOffer) -> None:
        """Store the offer of a deployment. Raises LedgerUnavailable."""
        text = json.dumps(asdict(offer))
        self._scripts.ask("SET", _KEY.format(endpoint=endpoint), text, "EX", OFFER_LIFE // timedelta(seconds=1))

    def forget(self, endpoint: str) -> None:
        """Delete the offer of an endpoint, because another deployment answers now. Raises LedgerUnavailable."""
        self._scripts.ask("DEL", _KEY.format(endpoint=endpoint))
