"""The endpoints of one child process, their clients, and the choice of one model version per item."""

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
    """Every configured endpoint with its client, in the configured order."""

    endpoints: tuple[Endpoint, ...]
    clients: dict[str, EndpointClient[RowAnswer]]

    def among(self, tenant: str, pinned: str | None) -> tuple[str, ...]:
        """Return the names of the endpoints that may score a tenant's frame.

        A job that is pinned to an endpoint may use only that one. The result is empty if the tenant may not, or no
        longer, use it.
        """
        names = tuple(one.name for one in usable(self.endpoints, tenant))
        return names if pinned is None else tuple(name for name in names if name == pinned)

    def named(self, names: Sequence[str]) -> list[Endpoint]:
        return [one for one in self.endpoints if one.name in names]

    def alike(self, chosen: Endpoint, names: Sequence[str]) -> tuple[str, ...]:
        """Return those of `names` whose answers can be combined with `chosen`'s: same model version, same encoding."""
        kind = chosen.model_version, chosen.encoding
        return tuple(one.name for one in self.named(names) if (one.model_version, one.encoding) == kind)

    def rows_per_request(self, names: Sequence[str]) -> int:
        """Return the largest number of rows that each of these endpoints accepts in a request."""
        return min(one.rows_per_request for one in self.named(names))

    def request_bytes(self, names: Sequence[str]) -> int:
        """Return the largest size of a request, in bytes, that each of these endpoints accepts."""
        return min(one.max_request_bytes for one in self.named(names))

    def prompts_per_score(self, names: Sequence[str]) -> int:
        """Return the largest number of prompts that each of these endpoints takes in a score."""
        return min(one.prompts_per_score for one in self.named(names))

    def takes_gray(self, names: Sequence[str]) -> bool:
        """Return whether all of these endpoints accept grayscale images."""
        return all(one.gray for one in self.named(names))


async def of_one_version(
    pool: EndpointPool, admissions: Admissions, claims: Claims, job: str, item: int, among: Sequence[str]
) -> tuple[str, ...]:
    """Return those of `among` that serve the item's model version.

    The item's first frame draws the version, by the weights of the open endpoints. Returns all of `among` if they have
    one version, or if the item's version is no longer configured. Raises LedgerUnavailable.
    """
    if len({one.model_version for one in pool.named(among)}) < 2:
        return tuple(among)
    closed = [await admissions.closed_for([name]) for name in among]
    open_now = [name for name, wait in zip(among, closed, strict=True) if wait == timedelta(0)]
    drawn = pool.named(open_now or among)
    [proposed] = random.choices(drawn, [one.weight for one in drawn])
    version = await asyncio.to_thread(claims.model_version, job, item, proposed.model_version)
    return tuple(one.name for one in pool.named(among) if one.model_version == version) or tuple(among)
