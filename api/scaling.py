"""How many segment workers the work is worth: what an autoscaler asks."""

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
    ledger, per_worker = service.ledger, service.frames_per_worker
    limits = [endpoint["limit"] for endpoint in ledger.flow(ledger.endpoints.known()).document()]
    waiting, cap = ledger.wakes.work("segment"), workers_most(sum(limits), per_worker)
    wanted = workers_wanted(waiting, ledger.claims.held(), per_worker, cap)
    return Scaling(waiting_frames=waiting, workers_wanted=wanted, cap=cap)
