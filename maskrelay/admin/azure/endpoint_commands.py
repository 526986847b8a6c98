"""The implementation of the `maskrelay endpoint` commands.

The function of a command takes the parsed arguments and returns the exit code.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from maskrelay.admin.azure import az_commands
from maskrelay.admin.azure import create as making
from maskrelay.admin.azure import status as showing
from maskrelay.admin.azure.arm import Arm
from maskrelay.admin.azure.bearer import GivenToken, MachineToken
from maskrelay.admin.azure.config_entry import (
    entry_of,
    merged,
    read_entries,
    write,
)
from maskrelay.admin.azure.control_plane_calls import AZURE
from maskrelay.admin.azure.role_assignment import Grant
from maskrelay.admin.azure.role_assignment import grant as do_grant
from maskrelay.admin.azure.spec import DeploymentSpec, seconds_of
from maskrelay.admin.azure.workspace import Workspace, found_workspace
from maskrelay.errors import EndpointError, SettingsError
from maskrelay.network.proxies import read_proxy
from maskrelay.scoring.credentials import SCORING_SCOPE
from maskrelay.settings import Settings, name_of, secret_in

#: The time that a response may take to arrive, in addition to the time for scoring.
_ON_THE_WAY = timedelta(seconds=30)
_NO_WORKSPACE = "no workspace is set: run maskrelay endpoint import config.json, or use --config"


def take(given: argparse.Namespace) -> int:
    workspace = Workspace.read(given.file)
    kept = workspace.keep(Path.cwd())
    _out(
        f"workspace {workspace.workspace_name} in resource group {workspace.resource_group}, "
        f"saved in {kept.relative_to(Path.cwd())}"
    )
    _out("next: maskrelay endpoint status")
    return 0


def create(given: argparse.Namespace) -> int:
    if given.lean and given.apply:
        raise SettingsError(
            "--lean has files to upload: write them with --save DIR, and run the printed az commands there"
        )
    deployment = given.deployment or f"medimageparse-{'lean-' if given.lean else ''}v{given.model_version}"
    names = (
        "name",
        "model_version",
        "auth",
        "sku",
        "instances",
        "timeout",
        "concurrency",
        "liveness",
        "readiness",
        "lean",
    )
    wanted = DeploymentSpec(deployment=deployment, **{name: getattr(given, name) for name in names})
    if given.save:
        for name, text in az_commands.files(wanted).items():
            path = given.save / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if not given.apply:
        sys.stdout.write(az_commands.creating(wanted, _workspace(given)))
        return 0
    with _opened(given) as (workspace, arm):
        making.create(arm, workspace, wanted, _say)
        _warn(showing.read_status(arm, workspace, wanted.name))
        _out(f"next: maskrelay endpoint test {wanted.name}")
    return 0


def traffic(given: argparse.Namespace) -> int:
    shares = dict(given.shares)
    if not given.apply:
        return _printed([az_commands.routing(given.name, shares, _workspace(given))])
    with _opened(given) as (workspace, arm):
        making.route(arm, workspace, given.name, shares, _say)
    return 0


def grant(given: argparse.Namespace) -> int:
    workspace = _workspace(given)
    if workspace is None:
        raise SettingsError(_NO_WORKSPACE)
    wanted = Grant(workspace, given.name, given.principal, given.principal_type, given.role)
    if not given.apply:
        return _printed(wanted.commands())
    with _opened(given) as (_, arm):
        do_grant(arm, wanted, _say)
    return 0


def wait(given: argparse.Namespace) -> int:
    with _opened(given) as (workspace, arm):
        making.workspace_of(arm, workspace)
        making.endpoint_of(arm, workspace, given.name)
        arm.ready(workspace.endpoint(given.name))
        for deployment in making.deployments_of(arm, workspace, given.name):
            arm.ready(workspace.deployment(given.name, deployment["name"]))
        _out(f"{given.name} is ready")
    return 0


def status(given: argparse.Namespace) -> int:
    with _opened(given) as (workspace, arm):
        if given.name is None:
            _out(showing.every(arm, workspace))
        else:
            seen = showing.read_status(arm, workspace, given.name)
            _out(showing.as_text(seen, showing.quotas(arm, seen), datetime.now(UTC)))
    return 0


def test(given: argparse.Namespace) -> int:
    """Score a test image. Return 1 if the endpoint gave no usable response."""
    try:
        trial = importlib.import_module("maskrelay.admin.azure.smoke_test")
    except ModuleNotFoundError:
        raise SettingsError("this command needs the extra `worker` (pip install 'maskrelay[worker,azure]')") from None
    with _opened(given) as (workspace, arm):
        seen = showing.read_status(arm, workspace, given.name)
        uri, bearer = seen.endpoint["properties"].get("scoringUri") or "", _bearer_of(arm, seen)
        try:
            tried = trial.score(uri, bearer, _allowed(seen) + _ON_THE_WAY, _proxy())
        except EndpointError as error:
            sys.stderr.write(f"maskrelay: {error.detail} [{error.code}]\n")
            _warn(seen)
            return 1
        scored = tried.scored
        _out(f"scored “{trial.PROMPT}” on a test image in {scored.seconds:.2f} s")
        _out(f"  sent {scored.bytes_up / 1e6:.2f} MB, received {scored.bytes_down / 1e6:.2f} MB")
        _out(f"  category of the model: {scored.answers[0].categories[0] or 'none'}")
        _out(
            f"  mask of {tried.area} px, largest value {tried.largest}, overlap with the optic disc {tried.overlap:.2f}"
        )
        if tried.largest <= 1:
            _out("  warning: no value is above 1; if real images give the same, the encoding is binary01")
    return 0


def settings(given: argparse.Namespace) -> int:
    with _opened(given) as (workspace, arm):
        seen = showing.read_status(arm, workspace, given.name)
        entry = entry_of(seen, _azure_url(), str(given.key_file.absolute()) if given.key_file else None)
        entries = merged(read_entries(given.file) if given.file else [], entry)
        if entry["auth"] == "key":
            write(given.key_file, _key_of(arm, seen) + "\n", mode=0o600)
        text = json.dumps(entries, indent=2) + "\n"
        if given.file:
            write(given.file, text, mode=0o644)
            _say(
                f"wrote endpoint {entry['name']} to {given.file}; set MASKRELAY_ENDPOINTS_FILE to it for every process"
            )
        else:
            sys.stdout.write(text)
        allowed = _allowed(seen)
        if allowed >= Settings.model_fields["score_timeout"].default:
            _say(f"a request may take {allowed.seconds} s: raise MASKRELAY_SCORE_TIMEOUT_S and the longer times")
        _warn(seen)
    return 0


def scale(given: argparse.Namespace) -> int:
    if not given.apply:
        deployment = given.deployment or "DEPLOYMENT"
        return _printed([az_commands.scaling(given.name, deployment, given.instances, _workspace(given))])
    with _opened(given) as (workspace, arm):
        making.scale(arm, workspace, given.name, given.deployment, given.instances, _say)
    return 0


def delete(given: argparse.Namespace) -> int:
    if not given.apply:
        return _printed([az_commands.deleting(given.name, given.deployment, _workspace(given))])
    with _opened(given) as (workspace, arm):
        making.delete(arm, workspace, given.name, given.deployment, _say)
    return 0


@contextmanager
def _opened(given: argparse.Namespace) -> Iterator[tuple[Workspace, Arm]]:
    """Yield the selected workspace and the client for it. Raises SettingsError."""
    workspace = _workspace(given)
    if workspace is None:
        raise SettingsError(_NO_WORKSPACE)
    url, token = _azure_url(), os.environ.get("MASKRELAY_AZURE_TOKEN")
    proxy = _proxy()
    bearer = GivenToken(token) if token else MachineToken(f"{url.rstrip('/')}/.default", proxy)
    through = read_proxy(proxy.get_secret_value(), "MASKRELAY_ENDPOINT_PROXY") if proxy else None
    with closing(Arm(url, bearer, say=_say, patience=given.patience * 60, proxy=through)) as arm:
        yield workspace, arm


def _workspace(given: argparse.Namespace) -> Workspace | None:
    return Workspace.read(given.config) if given.config else found_workspace(Path.cwd())


def _proxy() -> SecretStr | None:
    """Return the proxy that the service's settings name for endpoints, or None. Raises SettingsError."""
    name = name_of("endpoint_proxy")
    text, file = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if file and not text:
        text = secret_in(f"{name}_FILE", Path(file))
    return SecretStr(text) if text else None


def _azure_url() -> str:
    return os.environ.get("MASKRELAY_AZURE_URL") or AZURE


def _bearer_of(arm: Arm, seen: showing.DeploymentStatus) -> str:
    """Return the token or key for requests to the endpoint."""
    auth = showing.auth_of(seen.endpoint)
    if auth == "entra":
        return MachineToken(SCORING_SCOPE, _proxy()).token()
    if auth == "aml_token":
        return str(arm.post(f"{seen.workspace.endpoint(seen.endpoint['name'])}/token")["accessToken"])
    return _key_of(arm, seen)


def _key_of(arm: Arm, seen: showing.DeploymentStatus) -> str:
    return str(arm.post(f"{seen.workspace.endpoint(seen.endpoint['name'])}/listKeys")["primaryKey"])


def _allowed(seen: showing.DeploymentStatus) -> timedelta:
    """Return the longest time that the deployments allow for a score. If a deployment names none, Azure allows 5 s."""
    asked = [deployment["properties"].get("requestSettings") or {} for deployment in seen.deployments]
    return timedelta(seconds=max([seconds_of(str(limits.get("requestTimeout"))) or 5 for limits in asked], default=5))


def _warn(seen: showing.DeploymentStatus) -> None:
    for warning in showing.warnings(seen, datetime.now(UTC)):
        _say(f"warning: {warning}")


def _printed(lines: Sequence[str]) -> int:
    _out("\n".join(["# nothing was changed; use --apply, or run:", *lines]))
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")
