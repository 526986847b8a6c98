"""Commands that change an endpoint: create, traffic, scale and delete. All of them are idempotent."""

from collections.abc import Callable, Mapping

from maskrelay.admin.azure.arm import ENDED, Arm
from maskrelay.admin.azure.control_plane_calls import Resource, state_of
from maskrelay.admin.azure.spec import DeploymentSpec, holds
from maskrelay.admin.azure.workspace import Workspace
from maskrelay.errors import AzureMissing, AzureRefused

Say = Callable[[str], None]
#: The properties of an endpoint that clients set. Azure sets all other properties, so they are not sent.
_SET = frozenset({"description", "publicNetworkAccess", "properties", "traffic", "mirrorTraffic", "authMode"})


def create(arm: Arm, workspace: Workspace, wanted: DeploymentSpec, say: Say) -> None:
    """Create the endpoint and its deployment as specified. Change nothing that already matches the specification.

    If no deployment of the endpoint has traffic yet, the specified deployment gets all traffic. Raises AzureError.
    """
    location = workspace_of(arm, workspace)["location"]
    _create_endpoint(arm, workspace.endpoint(wanted.name), wanted.endpoint_body(location), say)
    path = workspace.deployment(wanted.name, wanted.deployment)
    _create_deployment(arm, path, wanted.deployment_body(location), say)
    shares = traffic_of(endpoint_of(arm, workspace, wanted.name))
    if shares:
        listed = ", ".join(f"{name} {share} %" for name, share in shares.items())
        moves = f"; to move it: maskrelay endpoint traffic {wanted.name} {wanted.deployment}=100"
        say(f"traffic of {wanted.name}: {listed}" + ("" if wanted.deployment in shares else moves))
    else:
        route(arm, workspace, wanted.name, {wanted.deployment: 100}, say)


def route(arm: Arm, workspace: Workspace, name: str, shares: Mapping[str, int], say: Say) -> None:
    """Give each deployment its share of the traffic in percent. The shares add up to 100, or to 0 for no traffic.

    Raises AzureRefused for shares with another sum, and AzureMissing if a deployment does not exist.
    """
    if sum(shares.values()) not in (0, 100) or min(shares.values()) < 0:
        raise AzureRefused("the traffic does not add up to 100 percent", ways=("for example: BLUE=90 GREEN=10",))
    present = endpoint_of(arm, workspace, name)
    there = {deployment["name"] for deployment in deployments_of(arm, workspace, name)}
    missing = [deployment for deployment in shares if deployment not in there]
    if missing:
        raise AzureMissing(
            f"{name} has no deployment {missing[0]}", ways=(f"its deployments: {', '.join(sorted(there))}",)
        )
    wanted = {deployment: share for deployment, share in shares.items() if share}
    if traffic_of(present) == wanted:
        say(f"traffic of {name} is unchanged")
        return
    body = _as_set(present)
    routed = body | {"properties": body["properties"] | {"traffic": dict(shares)}}
    arm.put(workspace.endpoint(name), routed, doing=f"traffic of {name}")
    say(f"traffic of {name}: " + ", ".join(f"{deployment} {share} %" for deployment, share in shares.items()))


def scale(arm: Arm, workspace: Workspace, name: str, deployment: str | None, instances: int, say: Say) -> None:
    """Set the number of instances of a deployment. `deployment` may be None if there is only one. Raises AzureError."""
    found = chosen(deployments_of(arm, workspace, name), deployment, name)
    if found["sku"]["capacity"] == instances:
        say(f"{found['name']} already has {instances} instances")
        return
    sku = {"name": found["sku"]["name"], "capacity": instances}
    arm.patch(workspace.deployment(name, found["name"]), {"sku": sku})
    say(f"{found['name']}: {found['sku']['capacity']} → {instances} instances; run maskrelay endpoint settings again")


def delete(arm: Arm, workspace: Workspace, name: str, deployment: str | None, say: Say) -> None:
    """Delete a deployment, or the endpoint with all its deployments. If there is nothing to delete, only say so."""
    workspace_of(arm, workspace)  # without this check, a misspelled workspace would look like a success
    path = workspace.deployment(name, deployment) if deployment else workspace.endpoint(name)
    if arm.get(path) is None:
        say(f"{deployment or name} does not exist")
        return
    arm.delete(path)
    say(f"{deployment or name} is deleted")


def workspace_of(arm: Arm, workspace: Workspace) -> Resource:
    what = f"workspace {workspace.workspace_name} in resource group {workspace.resource_group}"
    return arm.must(workspace.path, what, "set it with: maskrelay endpoint import config.json")


def endpoint_of(arm: Arm, workspace: Workspace, name: str) -> Resource:
    """Return the endpoint. Raises AzureMissing."""
    what = f"endpoint {name} in workspace {workspace.workspace_name}"
    return arm.must(workspace.endpoint(name), what, "list the endpoints with: maskrelay endpoint status")


def deployments_of(arm: Arm, workspace: Workspace, name: str) -> list[Resource]:
    return sorted(arm.list(f"{workspace.endpoint(name)}/deployments"), key=lambda deployment: str(deployment["name"]))


def traffic_of(endpoint: Resource) -> dict[str, int]:
    """Return the deployments with traffic, and their shares in percent."""
    return {name: share for name, share in (endpoint["properties"].get("traffic") or {}).items() if share}


def chosen(deployments: list[Resource], name: str | None, endpoint: str) -> Resource:
    """Return the deployment with this name, or the only one if `name` is None. Raises AzureMissing."""
    found = [deployment for deployment in deployments if name in (None, deployment["name"])]
    if len(found) == 1:
        return found[0]
    there = ", ".join(deployment["name"] for deployment in deployments) or "none"
    said = f"{endpoint} has no deployment {name}" if name else f"{endpoint} does not have exactly one deployment"
    raise AzureMissing(said, ways=(f"choose one with --deployment; its deployments: {there}",))


def _create_endpoint(arm: Arm, path: str, body: Resource, say: Say) -> None:
    present = _rested(arm, path)
    if present is None:
        arm.put(path, body)
        return
    if _is_good(present) and holds(present["properties"], body["properties"]):
        say(f"endpoint {present['name']} already exists")
        return
    kept = _as_set(present)
    arm.put(path, kept | {"properties": kept["properties"] | body["properties"]})


def _create_deployment(arm: Arm, path: str, body: Resource, say: Say) -> None:
    present = _rested(arm, path)
    there = present and _is_good(present)
    if present and there and holds({name: present.get(name) for name in ("sku", "properties")}, _without_place(body)):
        say(f"deployment {present['name']} already exists")
        return
    if present:
        kept = {name: value for name, value in present["properties"].items() if name != "provisioningState"}
        body = body | {"properties": kept | body["properties"], "tags": present.get("tags") or {}}
    arm.put(path, body)


def _without_place(body: Resource) -> Resource:
    return {name: value for name, value in body.items() if name != "location"}


def _rested(arm: Arm, path: str) -> Resource | None:
    """Wait until no operation on the resource is in progress. Return the resource, or None if there is none."""
    present = arm.get(path)
    return present if present is None or state_of(present) in ENDED else arm.ready(path)


def _is_good(resource: Resource) -> bool:
    return state_of(resource) == "Succeeded"


def _as_set(endpoint: Resource) -> Resource:
    """Return the endpoint in the form in which it must be sent to remain unchanged."""
    identity = endpoint.get("identity") or {"type": "SystemAssigned"}
    sent: Resource = {"type": identity["type"]}
    if identity.get("userAssignedIdentities"):
        sent["userAssignedIdentities"] = {identity_id: {} for identity_id in identity["userAssignedIdentities"]}
    properties = {name: value for name, value in endpoint["properties"].items() if name in _SET and value is not None}
    tags = endpoint.get("tags") or {}
    return {"location": endpoint["location"], "identity": sent, "tags": tags, "properties": properties}
