"""The flow state of the endpoints that a tenant may use, and the check whether a job may be pinned to one of them."""

from starlette.requests import Request

from api.pointers import pointer
from api.service import Service, in_thread, service_of, tenant_of
from maskrelay.contract.endpoints import EndpointList
from maskrelay.endpoints import Endpoint, usable
from maskrelay.errors import EndpointsUnknown, OptionInvalid


async def list_endpoints(request: Request) -> EndpointList:
    """List the endpoints with their current limits, load, gate state and recent errors."""
    return await in_thread(_list, service_of(request), tenant_of(request))


def _list(service: Service, tenant: str) -> EndpointList:
    names = {endpoint.name for endpoint in _usable(service, tenant)}
    flow = service.ledger.flow(service.ledger.endpoints.known())
    return EndpointList.model_validate({"endpoints": [one for one in flow.document() if one["name"] in names]})


def check_pin(service: Service, tenant: str, name: str) -> None:
    """Raise OptionInvalid unless the tenant may use an endpoint of this name; EndpointsUnknown while none is known."""
    known = service.ledger.endpoints.known()
    if not known:
        raise EndpointsUnknown
    if name not in {endpoint.name for endpoint in usable(known, tenant)}:
        raise OptionInvalid("There is no endpoint of this name.", pointer=pointer("options", "endpoint"))


def _usable(service: Service, tenant: str) -> list[Endpoint]:
    return usable(service.ledger.endpoints.known(), tenant)
