"""Offers of deployments as one child process knows them, read from the ledger every few seconds.

An offer says which wire format or image encodings a deployment accepts in addition to those that all accept.
"""

import asyncio
import contextlib
import time
from typing import Generic

from maskrelay.endpoints import Endpoint
from maskrelay.errors import LedgerUnavailable
from maskrelay.ledger.deployment_offers import AnyOffer, DeploymentOffers

#: The seconds for which the ledger's record of an offer is used before it is read again.
_FRESH = 5.0
#: The seconds for which this child process does not use an offer after a request that used it failed.
_REFUSED_FOR = 600.0


class OfferCache(Generic[AnyOffer]):
    """The known offers of one kind. An instance belongs to one event loop."""

    def __init__(self, offers: DeploymentOffers[AnyOffer]) -> None:
        self._offers = offers
        self._known: dict[str, tuple[float, AnyOffer | None]] = {}
        self._refused_until: dict[str, float] = {}

    def known(self, endpoint: Endpoint) -> AnyOffer | None:
        """Return the offer of an endpoint as it was last read."""
        _, offer = self._known.get(endpoint.name, (0.0, None))
        return offer

    def usable(self, endpoint: Endpoint) -> AnyOffer | None:
        """Return the offer as it was last read, or None while it is refused."""
        return None if self.is_refused(endpoint) else self.known(endpoint)

    def is_refused(self, endpoint: Endpoint) -> bool:
        """Return whether the offer is not used now, because a request that used it failed."""
        return time.monotonic() < self._refused_until.get(endpoint.name, 0.0)

    def refuse(self, endpoint: Endpoint) -> None:
        """Do not use the offer of an endpoint for some minutes."""
        self._refused_until[endpoint.name] = time.monotonic() + _REFUSED_FOR

    def allow(self, endpoint: Endpoint) -> None:
        """Use the offer of an endpoint again, even if it was refused."""
        self._refused_until.pop(endpoint.name, None)

    async def must_ask(self, endpoint: Endpoint) -> bool:
        """Read the offer from the ledger, unless it was read in the last few seconds.

        Return whether this child process must now ask the deployment for it. Raises LedgerUnavailable.
        """
        read_at, offer = self._known.get(endpoint.name, (-_FRESH, None))
        if time.monotonic() - read_at < _FRESH:
            return False
        self._known[endpoint.name] = time.monotonic(), offer  # so other frames do not read it too
        offer = await asyncio.to_thread(self._offers.known, endpoint.name, endpoint.model_version)
        self._known[endpoint.name] = time.monotonic(), offer
        return offer is None and await asyncio.to_thread(self._offers.may_ask, endpoint.name)

    async def keep(self, endpoint: Endpoint, offer: AnyOffer) -> None:
        """Store what a deployment has offered."""
        self._known[endpoint.name] = time.monotonic(), offer
        with contextlib.suppress(LedgerUnavailable):  # if it is not stored, other processes ask the deployment too
            await asyncio.to_thread(self._offers.keep, endpoint.name, offer)

    async def forget(self, endpoint: Endpoint) -> None:
        """Forget the offer of an endpoint."""
        self._known.pop(endpoint.name, None)
        with contextlib.suppress(LedgerUnavailable):  # if it stays in the ledger, it expires within an hour
            await asyncio.to_thread(self._offers.forget, endpoint.name)
