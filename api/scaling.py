"""How many segment workers the work is worth: what an autoscaler asks."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request

from api.service import Service, in_thread, service_of
from maskrelay.rules.lanes import workers_most, workers_wanted


class Scaling(BaseModel):
    """Sums over all tenants and endpoints; nothing in them belongs to one."""

    waiting_frames: int = Field(description="Frames that could be claimed now.")
    workers_wanted: int = Field(description="Segment workers for them and for the frames in hand; 0 without work.")
    cap: int = Field(description="The most workers that the endpoints can feed under their present limits.")


async def scaling(request: Request) -> Scaling:
    """The work that waits, and the workers it is worth: never more than the endpoints can feed."""
    return await in_thread(_look, service_of(request))


def _look(service: Service) -> Scaling:
    return worth(service, service.ledger.flow(service.ledger.endpoints.known()).document())


def worth(service: Service, endpoints: Sequence[Mapping[str, Any]]) -> Scaling:
    """The work that waits now, and what it is worth beside these endpoints, as `Flow.document` tells of them."""
    ledger, per_worker = service.ledger, service.frames_per_worker
    waiting, cap = ledger.wakes.work("segment"), workers_most(sum(one["limit"] for one in endpoints), per_worker)
    if not endpoints:  # Redis forgot them, and nobody has announced them yet: keep the workers that there are
        cap = max(cap, ledger.wakes.loops("segment"))
    wanted = workers_wanted(waiting, ledger.claims.held(), per_worker, cap)
    return Scaling(waiting_frames=waiting, workers_wanted=wanted, cap=cap)
