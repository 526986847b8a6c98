"""What a caller can choose from: endpoints, the targets on which the model was trained, and ways to sign in."""

from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

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
from maskrelay.ledger.deployment_offers import DeploymentOffer, DeploymentOffers

Word = Annotated[str | None, Query(max_length=40)]


async def list_endpoints(request: Request) -> EndpointList:
    """List the endpoints with their current limits, load, gate state and recent errors."""
    return await in_thread(_list, dependencies_of(request), tenant_of(request))


def _list(dependencies: Dependencies, tenant: str) -> EndpointList:
    names = {endpoint.name for endpoint in _usable(dependencies, tenant)}
    flow, offers = dependencies.ledger.flow(dependencies.ledger.endpoints.known()), dependencies.ledger.offers
    shown = [one | {"wire_in_use": _wire_in_use(one, offers)} for one in flow.document() if one["name"] in names]
    return EndpointList.model_validate({"endpoints": shown})


def _wire_in_use(shown: dict[str, Any], offers: DeploymentOffers[DeploymentOffer]) -> str | None:
    if shown["wire"] != "lean2d":
        return str(shown["wire"])
    offer = offers.known(shown["name"], shown["model_version"])
    return None if offer is None else "lean2d" if offer.lean else "image2d"


def check_pin(dependencies: Dependencies, tenant: str, name: str) -> None:
    """Raise OptionInvalid if there is no endpoint with this name that the tenant may use.

    Raises EndpointsUnknown if no endpoint has been announced yet.
    """
    known = dependencies.ledger.endpoints.known()
    if not known:
        raise EndpointsUnknown
    if name not in {endpoint.name for endpoint in usable(known, tenant)}:
        raise OptionInvalid("There is no endpoint with this name.", pointer=pointer("options", "endpoint"))


def _usable(dependencies: Dependencies, tenant: str) -> list[Endpoint]:
    return usable(dependencies.ledger.endpoints.known(), tenant)


async def show_sign_in(request: Request) -> Response:
    """Return the ways to sign in to the web page, with the addresses of the identity provider if there is one."""
    facts = await dependencies_of(request).sign_in.facts()
    return Response(facts.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


def list_prompts(modality: Word = None, site: Word = None) -> TargetList:
    """List the targets on which the model was trained, each with a prompt in the form that training used.

    `modality` is CT, MRI, X-ray, ultrasound, pathology, fundus, OCT, dermoscopy, endoscope, or a DICOM modality code.
    An unknown modality or site gives an empty list.
    """
    return TargetList(prompts=targets_of(modality, site))
