"""The specification of an endpoint and a deployment, as YAML for `az ml` and as REST bodies.

Sources: the YAML schemas of managed online endpoints and deployments, and the corresponding REST models. The Python
package azure-ai-ml converts the YAML into REST bodies. `make azure` compares these bodies with those of this module.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from maskrelay.endpoints import Auth
from maskrelay.errors import AzureNameInvalid

#: The model that this service supports, in the registry of public models.
MODEL = "azureml://registries/azureml/models/MedImageParse/versions/{version}"
#: The name of each authentication method in YAML, and its name in the control plane.
AUTH_MODES: dict[Auth, tuple[str, str]] = {
    "key": ("key", "Key"),
    "aml_token": ("aml_token", "AMLToken"),
    "entra": ("aad_token", "AADToken"),
}
#: The file name of the lean deployment's scoring script, the folder of this script, and the folder of the Dockerfile.
LEAN_SCRIPT, LEAN_CODE, LEAN_ENVIRONMENT = "lean_scoring_script.py", "lean_code", "lean_environment"
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest/"
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*[a-zA-Z0-9]")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


@dataclass(frozen=True, slots=True)
class Probe:
    """How Azure checks the liveness or readiness of the container. Times are in seconds."""

    delay: int
    period: int = 10
    timeout: int = 2
    failures: int = 30

    def as_yaml(self) -> dict[str, int]:
        times = {"initial_delay": self.delay, "period": self.period, "timeout": self.timeout}
        return times | {"success_threshold": 1, "failure_threshold": self.failures}

    def as_body(self) -> dict[str, Any]:
        times = {"initialDelay": self.delay, "period": self.period, "timeout": self.timeout}
        counts = {"successThreshold": 1, "failureThreshold": self.failures}
        return {name: duration(seconds) for name, seconds in times.items()} | counts


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """The specification of an endpoint with one deployment.

    The defaults are those of Microsoft's sample for this model. Raises AzureNameInvalid.
    """

    name: str
    deployment: str
    model_version: str = "10"
    auth: Auth = "key"
    sku: str = "Standard_NC40ads_H100_v5"
    instances: int = 1
    #: The seconds that one score may take, at most 180.
    timeout: int = 90
    #: The number of concurrent scores in one instance. The container starts the same number of processes, and each of
    #: them loads the model.
    concurrency: int = 8
    liveness: Probe = field(default_factory=lambda: Probe(600))
    readiness: Probe = field(default_factory=lambda: Probe(10))
    #: Whether our scoring script is used instead of Azure's.
    lean: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_name(self.deployment)

    @property
    def model(self) -> str:
        return MODEL.format(version=self.model_version)

    def endpoint_yaml(self) -> dict[str, Any]:
        schema = {"$schema": _SCHEMAS + "managedOnlineEndpoint.schema.json"}
        return schema | {"name": self.name, "auth_mode": AUTH_MODES[self.auth][0]}

    def deployment_yaml(self) -> dict[str, Any]:
        lean = {
            "code_configuration": {"code": LEAN_CODE, "scoring_script": LEAN_SCRIPT},
            "environment": {"build": {"path": LEAN_ENVIRONMENT, "dockerfile_path": "Dockerfile"}},
        }
        return {
            "$schema": _SCHEMAS + "managedOnlineDeployment.schema.json",
            "name": self.deployment,
            "endpoint_name": self.name,
            "model": self.model,
            **(lean if self.lean else {}),
            "instance_type": self.sku,
            "instance_count": self.instances,
            "environment_variables": self._environment(),
            "request_settings": {
                "request_timeout_ms": self.timeout * 1000,
                "max_concurrent_requests_per_instance": self.concurrency,
            },
            "liveness_probe": self.liveness.as_yaml(),
            "readiness_probe": self.readiness.as_yaml(),
        }

    def endpoint_body(self, location: str) -> dict[str, Any]:
        properties = {"authMode": AUTH_MODES[self.auth][1]}
        return {"location": location, "identity": {"type": "SystemAssigned"}, "properties": properties}

    def deployment_body(self, location: str) -> dict[str, Any]:
        properties = {
            "endpointComputeType": "Managed",
            "model": self.model,
            "instanceType": self.sku,
            "environmentVariables": self._environment(),
            "requestSettings": {
                "requestTimeout": duration(self.timeout),
                "maxConcurrentRequestsPerInstance": self.concurrency,
            },
            "livenessProbe": self.liveness.as_body(),
            "readinessProbe": self.readiness.as_body(),
        }
        return {"location": location, "sku": {"name": "Default", "capacity": self.instances}, "properties": properties}

    def _environment(self) -> dict[str, str]:
        """Return the environment variables of the container.

        WORKER_COUNT is the number of server processes in the container, which is otherwise 1. A process handles one
        request at a time.
        """
        return {"WORKER_COUNT": str(self.concurrency)}


def checked_name(name: str) -> str:
    """Return `name` if Azure accepts it for an endpoint or a deployment. Raises AzureNameInvalid."""
    if 3 <= len(name) <= 32 and _NAME.fullmatch(name):
        return name
    rule = "3 to 32 letters, digits and hyphens, starting with a letter and not ending with a hyphen"
    raise AzureNameInvalid(f"{name!r} is not a valid name for an endpoint or a deployment", ways=(f"use {rule}",))


def duration(seconds: int) -> str:
    """Return seconds as an ISO 8601 duration in the form that Azure's own client uses, for example `PT1M30S` for 90."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if count]
    return "PT" + ("".join(parts) or "0S")


def seconds_of(text: str) -> float | None:
    """Return the seconds of an ISO 8601 duration in days or smaller units, or None for any other text."""
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def holds(present: Any, wanted: Any) -> bool:
    """Return whether `present` contains everything in `wanted`.

    `present` may contain more, because the control plane adds fields. Durations are compared by value, because the
    control plane writes them in its own form.
    """
    if isinstance(wanted, dict):
        return isinstance(present, dict) and all(holds(present.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, str) and isinstance(present, str):
        if seconds_of(wanted) is not None:
            return seconds_of(wanted) == seconds_of(present)
        return wanted.lower() == present.lower()
    return bool(present == wanted)
