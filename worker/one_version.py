"""Have all frames of an item scored by one model version, whichever worker segments them."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from maskrelay.ledger.claims import Claims
from worker.admission import Admissions
from worker.pool import Pool


async def of_one_version(
    pool: Pool, admissions: Admissions, claims: Claims, job: str, item: int, among: Sequence[str]
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
