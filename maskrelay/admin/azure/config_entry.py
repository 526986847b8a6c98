"""Build an endpoint's entry in maskrelay's endpoints file from the control plane (see `docs/howto/endpoints.md`)."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maskrelay.admin.azure.control_plane_calls import VERSION
from maskrelay.admin.azure.create import traffic_of
from maskrelay.admin.azure.spec import LEAN_SCRIPT
from maskrelay.admin.azure.status import DeploymentStatus, auth_of, version_of
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AzureMissing, SettingsError

#: The fields that depend on the authentication method. They are removed from an existing entry before the new fields
#: are set.
_CREDENTIALS = ("key", "key_file", "token_url")


def entry_of(seen: DeploymentStatus, azure_url: str, key_file: str | None) -> dict[str, Any]:
    """Return the information of the control plane about the endpoint, as the fields of its entry in the endpoints file.

    `concurrency` and `max_in_flight` are both the total capacity of the deployments with traffic. Raises AzureMissing
    if no deployment can score, and SettingsError if the endpoint uses a key but `key_file` is None.
    """
    uri, shares = seen.endpoint["properties"].get("scoringUri"), traffic_of(seen.endpoint)
    serving = [deployment for deployment in seen.deployments if deployment["name"] in shares]
    if not uri or not serving:
        ways = (
            "wait for a deployment: maskrelay endpoint wait NAME",
            "then give it traffic: maskrelay endpoint traffic NAME DEPLOYMENT=100",
        )
        raise AzureMissing(f"{seen.endpoint['name']} has no deployment with traffic", ways=ways)
    capacity = sum(_capacity(deployment) for deployment in serving)
    main = max(serving, key=lambda deployment: shares[deployment["name"]])
    entry: dict[str, Any] = {"name": seen.endpoint["name"].lower(), "url": uri, "auth": auth_of(seen.endpoint)}
    entry |= {"model_version": version_of(main), "concurrency": capacity, "max_in_flight": capacity}
    script = (main["properties"].get("codeConfiguration") or {}).get("scoringScript")
    if script == LEAN_SCRIPT:
        entry["wire"] = "lean2d"
    if entry["auth"] == "aml_token":
        path = seen.workspace.endpoint(seen.endpoint["name"])
        entry["token_url"] = f"{azure_url.rstrip('/')}{path}/token?api-version={VERSION}"
    if entry["auth"] == "key":
        if key_file is None:
            raise SettingsError("this endpoint uses a key: set --key-file to the file in which to save it")
        entry["key_file"] = key_file
    return entry


def merged(entries: list[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Add `entry` to the entries of a file, and return all entries.

    If an entry of the file has the same name, that entry is updated instead. Fields that `entry` does not have are
    kept, except old credentials. Raises SettingsError if the service would not accept the result.
    """
    old = next((other for other in entries if other.get("name") == entry["name"]), {})
    new = {name: value for name, value in old.items() if name not in _CREDENTIALS} | entry
    try:
        Endpoint.model_validate(new)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) or problem["msg"] for problem in error.errors())
        raise SettingsError(f"the service would not accept the entry {entry['name']}: {fields}") from None
    return [new if other is old else other for other in entries] if old else [*entries, new]


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of the endpoints file, or an empty list if the file does not exist.

    Raises SettingsError if the file does not contain a JSON list of objects.
    """
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError:
        read = None
    if not isinstance(read, list) or not all(isinstance(entry, dict) for entry in read):
        raise SettingsError(f"{path} is not a JSON list of endpoints; it was not changed")
    return read


def write(path: Path, text: str, *, mode: int) -> None:
    """Replace a file atomically: a concurrent reader finds either the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _capacity(deployment: dict[str, Any]) -> int:
    """Return the number of requests that a deployment accepts before it returns 429.

    Each instance processes as many requests at once as the deployment declares, and queues the same number.
    """
    limits = deployment["properties"].get("requestSettings") or {}
    return 2 * int(limits.get("maxConcurrentRequestsPerInstance") or 1) * int(deployment["sku"]["capacity"])
