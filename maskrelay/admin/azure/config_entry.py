"""Build an endpoint's entry for maskrelay's endpoints file from the control plane (`docs/howto/endpoints.md`)."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maskrelay.admin.azure.control_plane_calls import VERSION
from maskrelay.admin.azure.create import traffic_of
from maskrelay.admin.azure.status import DeploymentStatus, auth_of, version_of
from maskrelay.endpoints import Endpoint
from maskrelay.errors import AzureMissing, SettingsError

#: Fields of one authentication method; those of other methods are removed.
_CREDENTIALS = ("key", "key_file", "token_url")


def entry_of(seen: DeploymentStatus, azure_url: str, key_file: str | None) -> dict[str, Any]:
    """Return the control plane's knowledge of the endpoint as fields of its entry.

    concurrency and max_in_flight are the capacity of the deployments with traffic: each instance scores as many
    requests as it declares, and queues as many again. Raises AzureMissing while nothing can be scored, and
    SettingsError without a place for a key.
    """
    uri, shares = seen.endpoint["properties"].get("scoringUri"), traffic_of(seen.endpoint)
    serving = [one for one in seen.deployments if one["name"] in shares]
    if not uri or not serving:
        ways = (
            "wait for a deployment: maskrelay endpoint wait NAME",
            "then give it traffic: maskrelay endpoint traffic NAME DEPLOYMENT=100",
        )
        raise AzureMissing(f"{seen.endpoint['name']} has no deployment with traffic", ways=ways)
    bears = sum(_bears(one) for one in serving)
    main = max(serving, key=lambda one: shares[one["name"]])
    entry: dict[str, Any] = {"name": seen.endpoint["name"].lower(), "url": uri, "auth": auth_of(seen.endpoint)}
    entry |= {"model_version": version_of(main), "concurrency": bears, "max_in_flight": bears}
    if entry["auth"] == "aml_token":
        path = seen.workspace.endpoint(seen.endpoint["name"])
        entry["token_url"] = f"{azure_url.rstrip('/')}{path}/token?api-version={VERSION}"
    if entry["auth"] == "key":
        if key_file is None:
            raise SettingsError("this endpoint uses a key: set --key-file to the file in which to save it")
        entry["key_file"] = key_file
    return entry


def merged(entries: list[dict[str, Any]], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the file's entries with this one; manual settings under the same name are kept.

    Raises SettingsError for an invalid entry.
    """
    old = next((one for one in entries if one.get("name") == entry["name"]), {})
    new = {name: one for name, one in old.items() if name not in _CREDENTIALS} | entry
    try:
        Endpoint.model_validate(new)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, one["loc"])) or one["msg"] for one in error.errors())
        raise SettingsError(f"the service would not accept the entry {entry['name']}: {fields}") from None
    return [new if one is old else one for one in entries] if old else [*entries, new]


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file that may not exist yet. Raises SettingsError for other content."""
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError:
        read = None
    if not isinstance(read, list) or not all(isinstance(one, dict) for one in read):
        raise SettingsError(f"{path} is not a JSON list of endpoints; it was not changed")
    return read


def write(path: Path, text: str, *, mode: int) -> None:
    """Replace a file atomically: a concurrent reader finds the old file or the new one."""
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


def _bears(deployment: dict[str, Any]) -> int:
    """Requests that a deployment accepts before it returns 429: twice its concurrency."""
    asked = deployment["properties"].get("requestSettings") or {}
    return 2 * int(asked.get("maxConcurrentRequestsPerInstance") or 1) * int(deployment["sku"]["capacity"])
