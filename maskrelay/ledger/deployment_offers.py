"""The offers of deployments: what they accept in addition to the image2d request with an RGB PNG.

One worker asks a deployment for its offer, and all workers share the answer.
"""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from maskrelay.ledger.scripts import Scripts

#: The time after which a deployment is asked again, because it may have been replaced unnoticed.
OFFER_LIFE = timedelta(hours=1)
#: The shortest time between two requests that ask a deployment for its offer. Within this time, only one worker asks.
ASKING = timedelta(minutes=1)


class Offer(Protocol):
    """An offer of one deployment of a model version."""

    @property
    def model_version(self) -> str: ...

    @property
    def deployment(self) -> str: ...


@dataclass(frozen=True, slots=True)
class DeploymentOffer:
    """The offer of one deployment of a model version."""

    #: The version that is configured for the endpoint.
    model_version: str
    #: The name of the deployment that answered. It is empty if the gateway does not return the name.
    deployment: str
    #: Whether the deployment accepts and returns the wire format lean2d.
    lean: bool


@dataclass(frozen=True, slots=True)
class PictureForms:
    """Whether a deployment gives exactly the same answer to another encoding of an image as to an RGB PNG."""

    #: The version that is configured for the endpoint.
    model_version: str
    #: The name of the deployment that answered. It is empty if the gateway does not return the name.
    deployment: str
    #: Whether it does so for a grayscale PNG.
    gray: bool
    #: Whether it does so for a lossless WebP.
    webp: bool


AnyOffer = TypeVar("AnyOffer", bound=Offer)


class DeploymentOffers(Generic[AnyOffer]):
    """The offers of the kind `kind` of all endpoints. If Redis loses its data, workers ask the deployments again."""

    def __init__(self, scripts: Scripts, name: str, kind: type[AnyOffer]) -> None:
        """`name` is the part of the Redis keys that is the same for all endpoints."""
        self._scripts = scripts
        self._name = name
        self._kind = kind

    def _key(self, endpoint: str) -> str:
        return f"mr:{self._name}:{endpoint}"

    def known(self, endpoint: str, model_version: str) -> AnyOffer | None:
        """Return the stored offer, or None if no offer is stored for this model version. Raises LedgerUnavailable."""
        kept = self._scripts.ask("GET", self._key(endpoint))
        offer = self._kind(**json.loads(kept)) if kept else None
        return offer if offer is not None and offer.model_version == model_version else None

    def may_ask(self, endpoint: str) -> bool:
        """Return whether the caller should ask the deployment now, because no other worker does.

        Raises LedgerUnavailable.
        """
        asking = self._key(endpoint) + ":asking"
        return bool(self._scripts.ask("SET", asking, "1", "NX", "PX", ASKING // timedelta(milliseconds=1)))

    def keep(self, endpoint: str, offer: AnyOffer) -> None:
        """Store the offer of a deployment. Raises LedgerUnavailable."""
        text = json.dumps(asdict(offer))  # type: ignore[call-overload]  # every kind is a dataclass
        self._scripts.ask("SET", self._key(endpoint), text, "EX", OFFER_LIFE // timedelta(seconds=1))

    def forget(self, endpoint: str) -> None:
        """Delete the offer of an endpoint, because another deployment answers now. Raises LedgerUnavailable."""
        self._scripts.ask("DEL", self._key(endpoint))
