"""The bodies that the control plane accepts for an endpoint and a deployment, from the REST reference of 2024-10-01."""

import re
from typing import Any

_ENDPOINT = {"authMode", "description", "properties", "publicNetworkAccess", "traffic", "mirrorTraffic", "scoringUri"}
_DEPLOYMENT = {
    "endpointComputeType", "model", "instanceType", "environmentVariables", "scaleSettings", "requestSettings",
    "livenessProbe", "readinessProbe", "appInsightsEnabled", "description", "properties",
    "egressPublicNetworkAccess",
}  # fmt: skip
_PROBE = {"initialDelay", "period", "timeout", "successThreshold", "failureThreshold"}
_TIMES = {"initialDelay", "period", "timeout", "requestTimeout", "maxQueueWait"}
_DURATION = re.compile(r"PT(\d+H)?(\d+M)?(\d+(\.\d+)?S)?")
_MODEL = re.compile(r"azureml://registries/azureml/models/MedImageParse/versions/([1-9]|1[0-2])")
_NAME = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")


def faults(body: Any, found: re.Match[str], there: list[str], location: str) -> str | None:
    """Return the first thing that is wrong with a body, in words, or None."""
    if not isinstance(body, dict) or body.get("location") != location or "properties" not in body:
        return "The properties 'location' and 'properties' are required."
    properties = {name: one for name, one in body["properties"].items() if name != "provisioningState"}
    name = found["deployment"] or found["endpoint"]
    if not (3 <= len(name) <= 32 and _NAME.fullmatch(name)):
        return f"The name '{name}' is invalid."
    if found["deployment"]:
        return _unknown(properties, _DEPLOYMENT) or _of_deployment(properties, body, there, found["endpoint"])
    return _unknown(properties, _ENDPOINT) or _of_endpoint(properties, body, there)


def _of_endpoint(properties: dict[str, Any], body: Any, there: list[str]) -> str | None:
    if properties.get("authMode") not in ("Key", "AMLToken", "AADToken"):
        return "The property 'authMode' must be Key, AMLToken or AADToken."
    if body.get("identity", {}).get("type") not in ("SystemAssigned", "UserAssigned"):
        return "The property 'identity' is required."
    traffic = properties.get("traffic") or {}
    if sum(traffic.values()) not in (0, 100):
        return "The sum of the traffic must be 0 or 100."
    unknown = [name for name, share in traffic.items() if share and name not in there]
    return f"The deployment '{unknown[0]}' in the traffic does not exist." if unknown else None


def _of_deployment(properties: dict[str, Any], body: Any, there: list[str], endpoint: str) -> str | None:
    if endpoint not in there:
        return f"The endpoint '{endpoint}' does not exist."
    if properties.get("endpointComputeType") != "Managed" or not properties.get("instanceType"):
        return "The properties 'endpointComputeType' and 'instanceType' are required."
    if not _MODEL.fullmatch(properties.get("model", "")):
        return f"The model '{properties.get('model')}' was not found."
    if body.get("sku", {}).get("name") != "Default" or not isinstance(body["sku"].get("capacity"), int):
        return "The sku must be named Default and have a capacity."
    if not all(isinstance(one, str) for one in properties.get("environmentVariables", {}).values()):
        return "The values of 'environmentVariables' must be text."
    settings = [properties.get(name, {}) for name in ("requestSettings", "livenessProbe", "readinessProbe")]
    known = ({"requestTimeout", "maxConcurrentRequestsPerInstance", "maxQueueWait"}, _PROBE, _PROBE)
    wrong = [_unknown(one, names) or _untimely(one) for one, names in zip(settings, known, strict=True)]
    return next(filter(None, wrong), None)


def _unknown(given: dict[str, Any], known: set[str]) -> str | None:
    return next((f"Could not find member '{name}'." for name in given if name not in known), None)


def _untimely(given: dict[str, Any]) -> str | None:
    wrong = [name for name in given if name in _TIMES and not _DURATION.fullmatch(str(given[name]))]
    return f"The property '{wrong[0]}' is not an ISO 8601 duration." if wrong else None
