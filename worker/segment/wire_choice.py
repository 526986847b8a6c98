"""The wire format of each endpoint: the lean one where the deployment offers it, otherwise the article's.

A deployment is asked with the canary: a request in the article's form that accepts a lean answer. A stock deployment
answers it as any other, so asking never fails a request. A lean request that is refused all the same, or whose answer
cannot be read, is sent again in the article's form, which this child then uses for some minutes.
"""

import asyncio
import contextlib
import logging
import time

from maskrelay.contract.wire.image2d import RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid, EndpointError, LedgerUnavailable
from maskrelay.ledger.deployment_offers import DeploymentOffer, DeploymentOffers
from maskrelay.scoring.endpoint_client import Scored
from maskrelay.scoring.statuses import refuses_the_form
from maskrelay.scoring.wire_formats import LEAN2D, WireFormat

log = logging.getLogger(__name__)
#: Seconds for which what the ledger knows of an offer is used without asking it again.
_FRESH = 5.0
#: Seconds for which a child keeps to the article's form after a lean request failed.
REFUSED_FOR = 600.0


class WireChoice:
    """The offers of the endpoints as one child knows them. Belongs to one event loop."""

    def __init__(self, offers: DeploymentOffers) -> None:
        self._offers = offers
        self._known: dict[str, tuple[float, DeploymentOffer | None]] = {}
        self._refused: dict[str, float] = {}

    def is_lean(self, endpoint: Endpoint) -> bool:
        """Return whether the next request to an endpoint is lean."""
        if endpoint.wire != "lean2d" or time.monotonic() < self._refused.get(endpoint.name, 0.0):
            return False
        _, offer = self._known.get(endpoint.name, (0.0, None))
        return offer is not None and offer.lean

    async def must_ask(self, endpoint: Endpoint) -> bool:
        """Bring the offer up to date, and return whether this child is to ask the deployment for it now.

        Raises LedgerUnavailable.
        """
        if endpoint.wire != "lean2d":
            return False
        looked_at, offer = self._known.get(endpoint.name, (-_FRESH, None))
        if time.monotonic() - looked_at < _FRESH:
            return False
        self._known[endpoint.name] = time.monotonic(), offer  # the other frames need not look meanwhile
        offer = await asyncio.to_thread(self._offers.known, endpoint.name, endpoint.model_version)
        self._known[endpoint.name] = time.monotonic(), offer
        return offer is None and await asyncio.to_thread(self._offers.may_ask, endpoint.name)

    async def learn(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Keep what the answer to the canary shows."""
        offer = DeploymentOffer(endpoint.model_version, _deployment(scored), lean=scored.is_lean)
        if not offer.lean:
            log.warning("the deployment does not offer lean2d", extra={"endpoint": endpoint.name})
        self._known[endpoint.name] = time.monotonic(), offer
        with contextlib.suppress(LedgerUnavailable):  # then the others ask as well
            await asyncio.to_thread(self._offers.keep, endpoint.name, offer)

    async def compare(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Forget the offer if another deployment answers than the one that was asked."""
        _, offer = self._known.get(endpoint.name, (0.0, None))
        if endpoint.wire == "lean2d" and offer is not None and offer.deployment != _deployment(scored):
            self._known.pop(endpoint.name)
            self._refused.pop(endpoint.name, None)
            with contextlib.suppress(LedgerUnavailable):  # it is lost with the ledger, or ends within the hour
                await asyncio.to_thread(self._offers.forget, endpoint.name)

    def falls_back(self, endpoint: Endpoint, wire: WireFormat[RowAnswer], error: EndpointError) -> bool:
        """Return whether the rows are to be sent again in the article's form, because the lean one was the trouble."""
        if wire is not LEAN2D or not (refuses_the_form(error) or isinstance(error, AnswerInvalid)):
            return False
        log.warning("lean2d is not used for a while", extra={"endpoint": endpoint.name, "code": error.code})
        self._refused[endpoint.name] = time.monotonic() + REFUSED_FOR
        return True


def _deployment(scored: Scored[RowAnswer]) -> str:
    return scored.headers.get("azureml-model-deployment", "")
