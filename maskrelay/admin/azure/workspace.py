"""The Azure ML workspace to use: three names, as Azure's own client stores them in `config.json`."""

import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maskrelay.errors import SettingsError

#: The files that may name the workspace. They are searched for in the current folder, and then in the folders above it,
#: as Azure's own client does. `maskrelay endpoint import` writes the first of these files.
PLACES = (Path(".azureml/config.json"), Path("config.json"))
_PROVIDER = "Microsoft.MachineLearningServices"


class Workspace(BaseModel):
    """An Azure ML workspace, identified by three names. Its paths are those of Azure Resource Manager."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    subscription_id: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    resource_group: Annotated[str, Field(pattern=r"^[\w.()-]{1,90}$")]
    workspace_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the workspace that a file names.

        Raises SettingsError for invalid content, and OSError for a missing file.
        """
        try:
            return cls.model_validate(json.loads(path.read_bytes()))
        except ValidationError as error:
            fields = ", ".join(dict.fromkeys(str(problem["loc"][0]) for problem in error.errors() if problem["loc"]))
            raise SettingsError(
                f"{path} does not name a workspace; missing or invalid: {fields or 'a JSON object'}"
            ) from None
        except ValueError:
            raise SettingsError(f"{path} is not JSON") from None

    def keep(self, folder: Path) -> Path:
        """Write the three names to `.azureml/config.json` in the folder, and return the path of the file."""
        path = folder / PLACES[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self.model_dump(), indent=2) + "\n")
        return path

    @property
    def group(self) -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def path(self) -> str:
        return f"{self.group}/providers/{_PROVIDER}/workspaces/{self.workspace_name}"

    def endpoint(self, name: str) -> str:
        return f"{self.path}/onlineEndpoints/{name}"

    def deployment(self, endpoint: str, name: str) -> str:
        return f"{self.endpoint(endpoint)}/deployments/{name}"

    def of_location(self, location: str, what: str) -> str:
        """Return the path of the subscription's `usages` or `vmSizes` in a region."""
        return f"/subscriptions/{self.subscription_id}/providers/{_PROVIDER}/locations/{location}/{what}"

    def flags(self) -> str:
        """Return the three names as options of `az ml`."""
        where = f"--subscription {self.subscription_id} --resource-group '{self.resource_group}'"
        return f"{where} --workspace-name {self.workspace_name}"


def found_workspace(start: Path) -> Workspace | None:
    """Return the workspace that a file in `start` names, or else a file in the nearest folder above it.

    Files that do not name a workspace are skipped. Without any file, the result is None.
    """
    for folder in (start, *start.parents):
        for place in PLACES:
            try:
                return Workspace.read(folder / place)
            except (OSError, SettingsError):
                continue
    return None
