"""The `az` commands that do the same as a command of `maskrelay endpoint`, as text.

A command that changes something prints them if `--apply` is not given.
"""

from collections.abc import Mapping
from importlib import resources

from maskrelay.admin.azure.spec import LEAN_CODE, LEAN_ENVIRONMENT, LEAN_SCRIPT, DeploymentSpec
from maskrelay.admin.azure.workspace import Workspace
from maskrelay.admin.azure.yaml import as_yaml

ENDPOINT_FILE, DEPLOYMENT_FILE = "endpoint.yml", "deployment.yml"


def files(wanted: DeploymentSpec) -> dict[str, str]:
    """Return the text of each file that `az ml` needs, by the path of the file.

    These are two YAML files. A lean deployment also needs the files to which the YAML refers.
    """
    described = {ENDPOINT_FILE: as_yaml(wanted.endpoint_yaml()), DEPLOYMENT_FILE: as_yaml(wanted.deployment_yaml())}
    return described | (_lean_files() if wanted.lean else {})


def _lean_files() -> dict[str, str]:
    folder = resources.files("maskrelay.admin.azure.lean_deployment")
    paths = {f"{LEAN_CODE}/{LEAN_SCRIPT}": LEAN_SCRIPT, f"{LEAN_ENVIRONMENT}/Dockerfile": "Dockerfile"}
    return {path: (folder / name).read_text() for path, name in paths.items()}


def creating(wanted: DeploymentSpec, workspace: Workspace | None) -> str:
    """Return the YAML of the endpoint and of the deployment as one stream.

    Comments in the stream contain the commands that use the YAML files.
    """
    described = files(wanted)
    flags = _flags(workspace)
    kinds = {ENDPOINT_FILE: "online-endpoint", DEPLOYMENT_FILE: "online-deployment"}
    parts = [f"# {name}\n# az ml {kind} create --file {name}{flags}\n{described[name]}" for name, kind in kinds.items()]
    others = described.keys() - kinds.keys()
    more = (
        f"# {DEPLOYMENT_FILE} also needs {' and '.join(sorted(others))}: --save DIR writes all files\n"
        if others
        else ""
    )
    return "---\n".join(parts) + more + f"# {routing(wanted.name, {wanted.deployment: 100}, workspace)}\n"


def routing(name: str, shares: Mapping[str, int], workspace: Workspace | None) -> str:
    given = " ".join(f"{deployment}={share}" for deployment, share in shares.items())
    return f'az ml online-endpoint update --name {name} --traffic "{given}"{_flags(workspace)}'


def scaling(name: str, deployment: str, instances: int, workspace: Workspace | None) -> str:
    named = f"--name {deployment} --endpoint-name {name}"
    return f"az ml online-deployment update {named} --set instance_count={instances}{_flags(workspace)}"


def deleting(name: str, deployment: str | None, workspace: Workspace | None) -> str:
    flags = f" --yes{_flags(workspace)}"
    if deployment:
        return f"az ml online-deployment delete --name {deployment} --endpoint-name {name}{flags}"
    return f"az ml online-endpoint delete --name {name}{flags}"


def _flags(workspace: Workspace | None) -> str:
    return f" {workspace.flags()}" if workspace else ""
