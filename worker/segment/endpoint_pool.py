"""The endpoints of one child process with their clients, and the choice of one model version for each item."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from maskrelay.contract.wire.image2d import RowAnswer
from maskrelay.endpoints import Endpoint, usable
from maskrelay.ledger.claims import Claims
from maskrelay.scoring.endpoint_client import EndpointClient
from worker.segment.admission import Admissions


@dataclass(frozen=True, slots=True)
class EndpointPool:
    """All configured endpoints with their clients, in the configured order."""

    endpoints: tuple[Endpoint, ...]
    clients: dict[str, EndpointClient[RowAnswer]]

    def among(self, tenant: str, pinned: str | None) -> tuple[str, ...]:
        """Return the names of the endpoints that may score a frame of this tenant.

        A job that is pinned to an endpoint may use only this endpoint. If the tenant may not use it, the result is
        empty.
        """
        names = tuple(endpoint.name for endpoint in usable(self.endpoints, tenant))
        return names if pinned is None else tuple(name for name in names if name == pinned)

    def named(self, names: Sequence[str]) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints if endpoint.name in names]

    def alike(self, chosen: Endpoint, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of `names` that have the same model version and encoding as `chosen`.

        Answers from these endpoints can be combined.
        """
        kind = chosen.model_version, chosen.encoding
        return tuple(
            endpoint.name for endpoint in self.named(names) if (endpoint.model_version, endpoint.encoding) == kind
        )

    def rows_per_request(self, names: Sequence[str]) -> int:
        """Return the largest number of rows per request that all of these endpoints accept."""
        return min(endpoint.rows_per_request for endpoint in self.named(names))

    def request_bytes(self, names: Sequence[str]) -> int:
        """Return the largest size of a request, in bytes, that all of these endpoints accept."""
        return min(endpoint.max_request_bytes for endpoint in self.named(names))

    def prompts_per_score(self, names: Sequence[str]) -> int:
        """Return the largest number of prompts per score that all of these endpoints accept."""
        return min(endpoint.prompts_per_score for endpoint in self.named(names))


async def of_one_version(
    pool: EndpointPool, admissions: Admissions, claims: Claims, job: str, item: int, among: Sequence[str]
) -> tuple[str, ...]:
    """Return those of `among` that serve the model version of the item.

    For the item's first frame, an endpoint is drawn at random by weight, among those with an open gate if there are
    any. The item then has the model version of this endpoint. If all endpoints have the same version, or if none of
    them has the item's version any more, the result is all of `among`. Raises LedgerUnavailable.
    """
    if len({endpoint.model_version for endpoint in pool.named(among)}) < 2:
        return tuple(among)
    closed = [await admissions.closed_for([name]) for name in among]
    open_now = [name for name, wait in zip(among, closed, strict=True) if wait == timedelta(0)]
    drawn = pool.named(open_now or among)
    [proposed] = random.choices(drawn, [endpoint.weight for endpoint in drawn])
    version = await asyncio.to_thread(claims.model_version, job, item, proposed.model_version)
    return tuple(endpoint.name for endpoint in pool.named(among) if endpoint.model_version == version) or tuple(among)
