"""The current status of an endpoint: its state, its deployments, their quota, and where to find their logs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from maskrelay.admin.azure.arm import Arm
from maskrelay.admin.azure.control_plane_calls import Resource, state_of
from maskrelay.admin.azure.create import (
    deployments_of,
    endpoint_of,
    traffic_of,
    workspace_of,
)
from maskrelay.admin.azure.spec import AUTH_MODES, seconds_of
from maskrelay.admin.azure.workspace import Workspace
from maskrelay.client.table import table
from maskrelay.errors import AzureDenied

#: The age at which Azure deletes an endpoint on the shared quota.
SHARED_QUOTA_LIFE = timedelta(hours=168)


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of cores for one family of machines in the region.

    `cores` is the number of cores of one machine of the type `sku`.
    """

    sku: str
    family: str
    cores: int
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """An endpoint and its deployments, as the control plane describes them."""

    workspace: Workspace
    location: str
    endpoint: Resource
    deployments: list[Resource]


def read_status(arm: Arm, workspace: Workspace, name: str) -> DeploymentStatus:
    """Return an endpoint and its deployments. Raises AzureMissing."""
    location = workspace_of(arm, workspace)["location"]
    endpoint = endpoint_of(arm, workspace, name)
    return DeploymentStatus(workspace, location, endpoint, deployments_of(arm, workspace, name))


def every(arm: Arm, workspace: Workspace) -> str:
    """Return the endpoints of a workspace as a table."""
    workspace_of(arm, workspace)
    endpoints = sorted(arm.list(f"{workspace.path}/onlineEndpoints"), key=lambda endpoint: str(endpoint["name"]))
    rows = [
        (endpoint["name"], state_of(endpoint), auth_of(endpoint), endpoint["properties"].get("scoringUri"))
        for endpoint in endpoints
    ]
    return table(("endpoint", "state", "auth", "scoring URI"), rows)


def quotas(arm: Arm, seen: DeploymentStatus) -> list[Quota] | None:
    """Return the quota of each machine type in use, or None if this identity may not read the subscription's quota.

    Azure spells the name of a machine family differently in the list of sizes and in the list of usages. Therefore,
    only the letters and digits of the names are compared.
    """
    sizes = {deployment["properties"]["instanceType"] for deployment in seen.deployments}
    try:
        known = arm.list(seen.workspace.of_location(seen.location, "vmSizes"))
        usages = arm.list(seen.workspace.of_location(seen.location, "usages"))
    except AzureDenied:
        return None
    counted = {_plain(usage["name"]["value"]): usage for usage in usages}
    found = []
    for size in (size for size in known if size["name"] in sizes):
        family = _plain(size["family"])
        usage = next((candidate for name, candidate in counted.items() if name.startswith(family)), None)
        if usage:
            named = usage["name"].get("localizedValue") or usage["name"]["value"]
            found.append(Quota(size["name"], named, size["vCPUs"], usage["currentValue"], usage["limit"]))
    return found


def as_text(seen: DeploymentStatus, quota: list[Quota] | None, now: datetime) -> str:
    """Return the endpoint as a few lines and tables."""
    properties = seen.endpoint["properties"]
    lines = [
        f"endpoint   {seen.endpoint['name']}: {state_of(seen.endpoint)}, auth {auth_of(seen.endpoint)}",
        f"scoring    {properties.get('scoringUri') or 'none yet'}",
    ]
    lines += [f"warning    {words}" for words in warnings(seen, now)]
    shares = traffic_of(seen.endpoint)
    head = ("deployment", "state", "traffic %", "model", "machine", "instances", "concurrency", "timeout s")
    lines += ["", table(head, [_row(deployment, shares) for deployment in seen.deployments])]
    if quota is None:
        lines += ["", "quota: this identity may not read it; it needs a reader role at the subscription"]
    elif quota:
        rows = [(row.sku, row.family, row.cores, row.used, row.limit) for row in quota]
        lines += ["", table(("machine", "family", "cores each", "cores used", "quota"), rows)]
    return "\n".join([*lines, *_logs(seen)])


def warnings(seen: DeploymentStatus, now: datetime) -> Iterator[str]:
    """Yield warnings about conditions that will cause failures."""
    ends = shared_until(seen.endpoint)
    if ends:
        left = max((ends - now) / timedelta(hours=1), 0)
        yield f"shared quota: Azure deletes the endpoint at {ends:%F %H:%M} UTC, in {left:.0f} h (after 168 h in total)"
    if seen.deployments and not traffic_of(seen.endpoint):
        yield "no deployment has traffic: the endpoint answers every request with 404"
    for deployment in seen.deployments:
        if state_of(deployment) in ("Failed", "Canceled"):
            yield f"deployment {deployment['name']} is {state_of(deployment)}: run create again, or delete it"


def shared_until(endpoint: Resource) -> datetime | None:
    """Return when Azure deletes an endpoint on the shared quota, or None for any other endpoint."""
    marks = {name.lower(): str(value) for name, value in (endpoint["properties"].get("properties") or {}).items()}
    if marks.get("sharedcomputecapacityenabled", "").lower() != "true":
        return None
    named = _time(marks.get("targetautodeletiontime"))
    begun = _time((endpoint.get("systemData") or {}).get("createdAt"))
    return named or (begun + SHARED_QUOTA_LIFE if begun else None)


def auth_of(endpoint: Resource) -> str:
    """Return maskrelay's name for the endpoint's authentication method."""
    mode = str(endpoint["properties"].get("authMode"))
    return next((ours for ours, (_, theirs) in AUTH_MODES.items() if theirs.lower() == mode.lower()), mode)


def version_of(deployment: Resource) -> str:
    """Return the version of the deployment's model, which is at the end of the model's id."""
    return str(deployment["properties"].get("model") or "").rpartition("/")[2] or "?"


def _row(deployment: Resource, shares: dict[str, int]) -> tuple[object, ...]:
    properties, asked = deployment["properties"], deployment["properties"].get("requestSettings") or {}
    model = str(properties.get("model") or "").rpartition("/models/")[2].replace("/versions/", " ")
    timeout = seconds_of(str(asked.get("requestTimeout")))
    size, count = properties["instanceType"], deployment["sku"]["capacity"]
    at_a_time = asked.get("maxConcurrentRequestsPerInstance")
    return (
        deployment["name"],
        state_of(deployment),
        shares.get(deployment["name"], 0),
        model,
        size,
        count,
        at_a_time,
        f"{timeout or 0:g}",
    )


def _logs(seen: DeploymentStatus) -> Iterator[str]:
    name = seen.endpoint["name"]
    for deployment in seen.deployments:
        yield ""
        yield f"logs of {deployment['name']}:"
        yield f"  az ml online-deployment get-logs --endpoint-name {name} --name {deployment['name']} --lines 100 \\"
        yield f"    {seen.workspace.flags()}"
        yield "  (if the container does not start: --container storage-initializer)"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _time(text: Any) -> datetime | None:
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
