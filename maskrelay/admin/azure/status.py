"""The current status of an endpoint: its state, its deployments, the quota they use, and where their logs are."""

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

#: Azure deletes an endpoint on the shared quota after this time.
SHARED_QUOTA_LIFE = timedelta(hours=168)


@dataclass(frozen=True, slots=True)
class Quota:
    """The cores of one machine family in the region. `cores`: those of one instance of `sku`."""

    sku: str
    family: str
    cores: int
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """An endpoint as the control plane describes it."""

    workspace: Workspace
    location: str
    endpoint: Resource
    deployments: list[Resource]


def look(arm: Arm, workspace: Workspace, name: str) -> DeploymentStatus:
    """Return an endpoint and its deployments. Raises AzureMissing."""
    location = workspace_of(arm, workspace)["location"]
    endpoint = endpoint_of(arm, workspace, name)
    return DeploymentStatus(workspace, location, endpoint, deployments_of(arm, workspace, name))


def every(arm: Arm, workspace: Workspace) -> str:
    """Return the endpoints of a workspace as a table."""
    workspace_of(arm, workspace)
    endpoints = sorted(arm.list(f"{workspace.path}/onlineEndpoints"), key=lambda one: str(one["name"]))
    rows = [(one["name"], state_of(one), auth_of(one), one["properties"].get("scoringUri")) for one in endpoints]
    return table(("endpoint", "state", "auth", "scoring URI"), rows)


def quotas(arm: Arm, seen: DeploymentStatus) -> list[Quota] | None:
    """Return the quota of each machine type in use, or None without permission to read the subscription's quota.

    The name of a family is spelled differently in the list of sizes and in the list of usages.
    """
    sizes = {one["properties"]["instanceType"] for one in seen.deployments}
    try:
        known = arm.list(seen.workspace.of_location(seen.location, "vmSizes"))
        usages = arm.list(seen.workspace.of_location(seen.location, "usages"))
    except AzureDenied:
        return None
    counted = {_plain(one["name"]["value"]): one for one in usages}
    found = []
    for size in (one for one in known if one["name"] in sizes):
        family = _plain(size["family"])
        usage = next((one for name, one in counted.items() if name.startswith(family)), None)
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
    lines += ["", table(head, [_row(one, shares) for one in seen.deployments])]
    if quota is None:
        lines += ["", "quota: this identity may not read it; it needs a reader role at the subscription"]
    elif quota:
        rows = [(one.sku, one.family, one.cores, one.used, one.limit) for one in quota]
        lines += ["", table(("machine", "family", "cores each", "cores used", "quota"), rows)]
    return "\n".join([*lines, *_logs(seen)])


def warnings(seen: DeploymentStatus, now: datetime) -> Iterator[str]:
    """Yield what an operator should know before it causes a failure."""
    ends = shared_until(seen.endpoint)
    if ends:
        left = max((ends - now) / timedelta(hours=1), 0)
        yield f"shared quota: Azure deletes the endpoint at {ends:%F %H:%M} UTC, in {left:.0f} h (after 168 h in total)"
    if seen.deployments and not traffic_of(seen.endpoint):
        yield "no deployment has traffic: every request is answered with 404"
    for one in seen.deployments:
        if state_of(one) in ("Failed", "Canceled"):
            yield f"deployment {one['name']} is {state_of(one)}: run create again, or delete it"


def shared_until(endpoint: Resource) -> datetime | None:
    """Return when Azure deletes an endpoint on the shared quota; None for any other one."""
    marks = {name.lower(): str(one) for name, one in (endpoint["properties"].get("properties") or {}).items()}
    if marks.get("sharedcomputecapacityenabled", "").lower() != "true":
        return None
    named = _time(marks.get("targetautodeletiontime"))
    begun = _time((endpoint.get("systemData") or {}).get("createdAt"))
    return named or (begun + SHARED_QUOTA_LIFE if begun else None)


def auth_of(endpoint: Resource) -> str:
    """Return the endpoint's authentication method, by maskrelay's name for it."""
    mode = str(endpoint["properties"].get("authMode"))
    return next((ours for ours, (_, theirs) in AUTH_MODES.items() if theirs.lower() == mode.lower()), mode)


def version_of(deployment: Resource) -> str:
    """Return the model's version, from the end of its id."""
    return str(deployment["properties"].get("model") or "").rpartition("/")[2] or "?"


def _row(one: Resource, shares: dict[str, int]) -> tuple[object, ...]:
    properties, asked = one["properties"], one["properties"].get("requestSettings") or {}
    model = str(properties.get("model") or "").rpartition("/models/")[2].replace("/versions/", " ")
    timeout = seconds_of(str(asked.get("requestTimeout")))
    size, count = properties["instanceType"], one["sku"]["capacity"]
    at_a_time = asked.get("maxConcurrentRequestsPerInstance")
    return one["name"], state_of(one), shares.get(one["name"], 0), model, size, count, at_a_time, f"{timeout or 0:g}"


def _logs(seen: DeploymentStatus) -> Iterator[str]:
    name = seen.endpoint["name"]
    for one in seen.deployments:
        yield ""
        yield f"logs of {one['name']}:"
        yield f"  az ml online-deployment get-logs --endpoint-name {name} --name {one['name']} --lines 100 \\"
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
