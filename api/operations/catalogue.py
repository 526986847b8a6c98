"""What a job can request: the endpoints that a tenant may use, and the targets on which the model was trained."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request

from api.dependencies import (
    Dependencies,
    dependencies_of,
    in_thread,
    tenant_of,
)
from api.http.json_pointer import pointer
from maskrelay.contract.views.endpoint_views import EndpointList
from maskrelay.contract.vocabulary.trained_targets import TargetList, targets_of
from maskrelay.endpoints import Endpoint, usable
from maskrelay.errors import EndpointsUnknown, OptionInvalid

Word = Annotated[str | None, Query(max_length=40)]


async def list_endpoints(request: Request) -> EndpointList:
    """List the endpoints with their current limits, load, gate state and recent errors."""
    return await in_thread(_list, dependencies_of(request), tenant_of(request))


def _list(dependencies: Dependencies, tenant: str) -> EndpointList:
    names = {endpoint.name for endpoint in _usable(dependencies, tenant)}
    flow = dependencies.ledger.flow(dependencies.ledger.endpoints.known())
    return EndpointList.model_validate(
        {"endpoints": [endpoint for endpoint in flow.document() if endpoint["name"] in names]}
    )


def check_pin(dependencies: Dependencies, tenant: str, name: str) -> None:
    """Raise OptionInvalid unless the tenant may use an endpoint with this name.

    Raises EndpointsUnknown if no endpoint has been announced yet.
    """
    known = dependencies.ledger.endpoints.known()
    if not known:
        raise EndpointsUnknown
    if name not in {endpoint.name for endpoint in usable(known, tenant)}:
        raise OptionInvalid("There is no endpoint with this name.", pointer=pointer("options", "endpoint"))


def _usable(dependencies: Dependencies, tenant: str) -> list[Endpoint]:
    return usable(dependencies.ledger.endpoints.known(), tenant)


def list_prompts(modality: Word = None, site: Word = None) -> TargetList:
    """List the targets on which the model was trained, each with a prompt in the form that training used.

    `modality` is CT, MRI, X-ray, ultrasound, pathology, fundus, OCT, dermoscopy, endoscope, or a DICOM modality code.
    An unknown modality or site gives an empty list.
    """
    return TargetList(prompts=targets_of(modality, site))
