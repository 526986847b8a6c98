"""The choice of the wire format for each endpoint: lean2d if the deployment offers it, otherwise image2d.

A worker asks a deployment with the canary, in an image2d request that also accepts a lean answer. A deployment that
does not know lean2d gives its usual answer, so asking does no harm. If a lean2d request is refused, or its answer
cannot be read, the rows are sent again as image2d. The child process then uses image2d for some minutes. The same
holds for the canary: for some minutes, it does not accept a lean answer, so that the gate of a deployment whose lean
answers are wrong can open.
"""

import logging

from maskrelay.contract.wire.image2d import RowAnswer
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AnswerInvalid, EndpointError
from maskrelay.ledger.deployment_offers import DeploymentOffer, DeploymentOffers
from maskrelay.scoring.endpoint_client import Scored
from maskrelay.scoring.statuses import refuses_the_form
from maskrelay.scoring.wire_formats import IMAGE2D, LEAN2D, LEAN2D_QUESTION, WireFormat
from worker.segment.offer_cache import OfferCache

log = logging.getLogger(__name__)


class WireChoice:
    """The offers of the endpoints as one child process knows them. An instance belongs to one event loop."""

    def __init__(self, offers: DeploymentOffers[DeploymentOffer]) -> None:
        self._offers = OfferCache(offers)

    def is_lean(self, endpoint: Endpoint) -> bool:
        """Return whether the next request to an endpoint is a lean2d request."""
        if endpoint.wire != "lean2d":
            return False
        offer = self._offers.usable(endpoint)
        return offer is not None and offer.lean

    def of_canary(self, endpoint: Endpoint) -> WireFormat[RowAnswer]:
        """Return the format of the canary, an image2d request. It also asks for the offer, unless that has failed."""
        return LEAN2D_QUESTION if endpoint.wire == "lean2d" and not self._offers.is_refused(endpoint) else IMAGE2D

    async def must_ask(self, endpoint: Endpoint) -> bool:
        """Return whether this child process must now ask the deployment for its offer. Raises LedgerUnavailable."""
        return self.of_canary(endpoint) is LEAN2D_QUESTION and await self._offers.must_ask(endpoint)

    async def learn(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Store the offer that the answer to the canary shows."""
        offer = DeploymentOffer(endpoint.model_version, scored.deployment, lean=scored.is_lean)
        if not offer.lean:
            log.warning("the deployment does not offer lean2d", extra={"endpoint": endpoint.name})
        await self._offers.keep(endpoint, offer)

    async def compare(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Forget the offer if it is from another deployment than this answer."""
        offer = self._offers.known(endpoint)
        if endpoint.wire == "lean2d" and offer is not None and offer.deployment != scored.deployment:
            self._offers.allow(endpoint)
            await self._offers.forget(endpoint)

    def falls_back(self, endpoint: Endpoint, wire: WireFormat[RowAnswer], error: EndpointError) -> bool:
        """Return whether the use of lean2d may have caused the error. The rows are then sent again as image2d."""
        if wire not in (LEAN2D, LEAN2D_QUESTION) or not (refuses_the_form(error) or isinstance(error, AnswerInvalid)):
            return False
        log.warning("lean2d is not used for a while", extra={"endpoint": endpoint.name, "code": error.code})
        self._offers.refuse(endpoint)
        return True
