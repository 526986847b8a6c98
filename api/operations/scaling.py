"""The number of segment workers that the current load needs, for an autoscaler."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request

from api.dependencies import Dependencies, dependencies_of, in_thread
from maskrelay.rules.lanes import workers_most, workers_wanted


class Scaling(BaseModel):
    """Totals over all tenants and endpoints."""

    waiting_frames: int = Field(description="Frames that are ready to be processed.")
    workers_wanted: int = Field(
        description="Segment workers for the waiting frames and the frames in progress. 0 if there is no work."
    )
    cap: int = Field(description="The most workers that the endpoints can keep busy within their current limits.")


async def scaling(request: Request) -> Scaling:
    """Return the waiting work and the number of segment workers for it.

    The number is limited to what the endpoints can keep busy.
    """
    return await in_thread(_read_load, dependencies_of(request))


def _read_load(dependencies: Dependencies) -> Scaling:
    return worth(dependencies, dependencies.ledger.flow(dependencies.ledger.endpoints.known()).document())


def worth(dependencies: Dependencies, endpoints: Sequence[Mapping[str, Any]]) -> Scaling:
    """Return the waiting work and the number of workers for it. `endpoints` has the form of `Flow.document`."""
    ledger, per_worker = dependencies.ledger, dependencies.frames_per_worker
    waiting, cap = (
        ledger.wake_ups.work("segment"),
        workers_most(sum(endpoint["limit"] for endpoint in endpoints), per_worker),
    )
    if not endpoints:  # Redis has lost the endpoints and no worker has announced them yet: keep the current workers
        cap = max(cap, ledger.wake_ups.loops("segment"))
    wanted = workers_wanted(waiting, ledger.claims.held(), per_worker, cap)
    return Scaling(waiting_frames=waiting, workers_wanted=wanted, cap=cap)
