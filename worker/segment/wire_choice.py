"""The choice of the wire format for each endpoint: lean2d if the deployment offers it, otherwise image2d.

A worker asks a deployment with the canary, in an image2d request that also accepts a lean answer. A deployment that
does not know lean2d gives its usual answer, so asking does no harm. If a lean2d request is refused, or its answer
cannot be read, the rows are sent again as image2d. The child process then uses image2d for some minutes.
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
#: The seconds for which the ledger's record of an offer is used before it is read again.
_FRESH = 5.0
#: The seconds for which a child process uses image2d after a lean2d request failed.
REFUSED_FOR = 600.0


class WireChoice:
    """The offers of the endpoints as one child process knows them. An instance belongs to one event loop."""

    def __init__(self, offers: DeploymentOffers) -> None:
        self._offers = offers
        self._known: dict[str, tuple[float, DeploymentOffer | None]] = {}
        self._refused: dict[str, float] = {}

    def is_lean(self, endpoint: Endpoint) -> bool:
        """Return whether the next request to an endpoint is a lean2d request."""
        if endpoint.wire != "lean2d" or time.monotonic() < self._refused.get(endpoint.name, 0.0):
            return False
        _, offer = self._known.get(endpoint.name, (0.0, None))
        return offer is not None and offer.lean

    async def must_ask(self, endpoint: Endpoint) -> bool:
        """Read the offer from the ledger if it is not fresh.

        Return whether this child process must now ask the deployment for it. Raises LedgerUnavailable.
        """
        if endpoint.wire != "lean2d":
            return False
        read_at, offer = self._known.get(endpoint.name, (-_FRESH, None))
        if time.monotonic() - read_at < _FRESH:
            return False
        self._known[endpoint.name] = time.monotonic(), offer  # so other frames do not read it too
        offer = await asyncio.to_thread(self._offers.known, endpoint.name, endpoint.model_version)
        self._known[endpoint.name] = time.monotonic(), offer
        return offer is None and await asyncio.to_thread(self._offers.may_ask, endpoint.name)

    async def learn(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Store the offer that the answer to the canary shows."""
        offer = DeploymentOffer(endpoint.model_version, _deployment(scored), lean=scored.is_lean)
        if not offer.lean:
            log.warning("the deployment does not offer lean2d", extra={"endpoint": endpoint.name})
        self._known[endpoint.name] = time.monotonic(), offer
        with contextlib.suppress(LedgerUnavailable):  # other processes will then ask too
            await asyncio.to_thread(self._offers.keep, endpoint.name, offer)

    async def compare(self, endpoint: Endpoint, scored: Scored[RowAnswer]) -> None:
        """Forget the offer if it is from another deployment than this answer."""
        _, offer = self._known.get(endpoint.name, (0.0, None))
        if endpoint.wire == "lean2d" and offer is not None and offer.deployment != _deployment(scored):
            self._known.pop(endpoint.name)
            self._refused.pop(endpoint.name, None)
            with contextlib.suppress(LedgerUnavailable):  # the ledger loses the offer, or it expires within an hour
                await asyncio.to_thread(self._offers.forget, endpoint.name)

    def falls_back(self, endpoint: Endpoint, wire: WireFormat[RowAnswer], error: EndpointError) -> bool:
        """Return whether the rows must be sent again as image2d, because the lean2d request itself caused the error."""
        if wire is not LEAN2D or not (refuses_the_form(error) or isinstance(error, AnswerInvalid)):
            return False
        log.warning("lean2d is not used for a while", extra={"endpoint": endpoint.name, "code": error.code})
        self._refused[endpoint.name] = time.monotonic() + REFUSED_FOR
        return True


def _deployment(scored: Scored[RowAnswer]) -> str:
    return scored.headers.get("azureml-model-deployment", "")
