"""`maskrelay endpoint …`: the life cycle of a MedImageParse endpoint, from creation to deletion."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrelay.admin.azure import endpoint_commands
from maskrelay.admin.azure.spec import (
    AUTH_MODES,
    DeploymentSpec,
    Probe,
    checked_name,
)
from maskrelay.errors import AzureError

_EPILOG = """\
Without --apply, the commands create, traffic, grant, scale and delete change nothing: they print the equivalent `az`
commands. You can repeat every command. The workspace is read from --config, or from the nearest .azureml/config.json
or config.json. Requests to Azure use the token in MASKRELAY_AZURE_TOKEN, or else this
machine's identity, for example after az login. The identity needs the extra `azure`.
Azure charges for an endpoint by the hour from its creation to its deletion, whether it is used or not."""
_DEFAULT = DeploymentSpec("default", "default")


def add(subparsers: Any) -> None:
    """Add the command `endpoint` with its subcommands. Each subcommand stores its function in `run`."""
    what = "create, monitor and delete the model's endpoint on Azure"
    parser = subparsers.add_parser(
        "endpoint", help=what, description=what, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inner = parser.add_subparsers(required=True, metavar="COMMAND")
    taken = _command(inner, "import", endpoint_commands.take, "save the workspace that a config.json names")
    taken.add_argument("file", type=Path, metavar="CONFIG_JSON")
    _add_create(inner)
    traffic = _command(
        inner, "traffic", endpoint_commands.traffic, "divide the traffic between deployments", changes=True
    )
    traffic.add_argument("name", metavar="ENDPOINT")
    traffic.add_argument("shares", nargs="+", type=_share, metavar="DEPLOYMENT=PERCENT")
    _add_grant(inner)
    wait = _command(inner, "wait", endpoint_commands.wait, "wait until Azure has finished its work on the endpoint")
    wait.add_argument("name", metavar="ENDPOINT")
    status = _command(inner, "status", endpoint_commands.status, "show an endpoint, or list those of the workspace")
    status.add_argument("name", nargs="?", metavar="ENDPOINT")
    test = _command(inner, "test", endpoint_commands.test, "score a test image (extra `worker`)")
    test.add_argument("name", metavar="ENDPOINT")
    settings = _command(
        inner, "settings", endpoint_commands.settings, "write the endpoint's entry for the endpoints file"
    )
    settings.add_argument("name", metavar="ENDPOINT")
    settings.add_argument("--file", type=Path, metavar="JSON", help="the file to change (default: print the entry)")
    settings.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="if the endpoint uses keys, write its key to this file, readable only by you",
    )
    scale = _command(inner, "scale", endpoint_commands.scale, "change the number of instances", changes=True)
    scale.add_argument("name", metavar="ENDPOINT")
    scale.add_argument("instances", type=_from(1), metavar="INSTANCES")
    scale.add_argument("--deployment", metavar="NAME", help="required if there are several")
    delete = _command(inner, "delete", endpoint_commands.delete, "delete the endpoint, or one deployment", changes=True)
    delete.add_argument("name", metavar="ENDPOINT")
    delete.add_argument("--deployment", metavar="NAME", help="delete only this deployment")


def _add_create(inner: Any) -> None:
    create = _command(
        inner, "create", endpoint_commands.create, "create the endpoint and a deployment of the model", changes=True
    )
    add = create.add_argument
    add("name", metavar="ENDPOINT", help="the name, unique within the region")
    add(
        "--deployment",
        metavar="NAME",
        help="default: medimageparse-v, or with --lean medimageparse-lean-v, followed by the version",
    )
    add(
        "--model-version",
        default=_DEFAULT.model_version,
        metavar="N",
        help="version of MedImageParse (default: %(default)s)",
    )
    add(
        "--auth",
        choices=list(AUTH_MODES),
        default=_DEFAULT.auth,
        help="how clients authenticate (default: %(default)s)",
    )
    add("--sku", default=_DEFAULT.sku, help="type of machine (default: %(default)s)")
    add(
        "--instances",
        type=_from(1),
        default=_DEFAULT.instances,
        metavar="N",
        help="number of machines (default: %(default)s)",
    )
    add(
        "--timeout",
        type=_from(1, 180),
        default=_DEFAULT.timeout,
        metavar="S",
        help="timeout of one request in seconds (default: %(default)s)",
    )
    add(
        "--concurrency",
        type=_from(1),
        default=_DEFAULT.concurrency,
        metavar="N",
        help="concurrent requests per machine, each in its own process (default: %(default)s)",
    )
    add(
        "--liveness",
        type=_probe(_DEFAULT.liveness),
        default=_DEFAULT.liveness,
        metavar="delay=S,…",
        help="delay, period and timeout in seconds, and failures (default: delay=600,period=10,timeout=2,failures=30)",
    )
    add(
        "--readiness",
        type=_probe(_DEFAULT.readiness),
        default=_DEFAULT.readiness,
        metavar="delay=S,…",
        help="the same for the readiness probe (default: delay=10,period=10,timeout=2,failures=30)",
    )
    add(
        "--lean",
        action="store_true",
        help="deploy the model with our scoring script, whose answers are smaller; requires --save, excludes --apply",
    )
    add("--save", type=Path, metavar="DIR", help="also write endpoint.yml and deployment.yml to this folder")


def _add_grant(inner: Any) -> None:
    grant = _command(
        inner,
        "grant",
        endpoint_commands.grant,
        "allow an identity to score at the endpoint, and nothing else",
        changes=True,
    )
    grant.add_argument("name", metavar="ENDPOINT")
    grant.add_argument("principal", metavar="OBJECT_ID", help="object id of the identity in the directory")
    kinds = ("ServicePrincipal", "User", "Group")
    grant.add_argument("--principal-type", choices=kinds, default=kinds[0], help="default: %(default)s")
    grant.add_argument("--role", metavar="ROLE_ID", help="an existing role, if you may not create one")


def _command(
    inner: Any, name: str, run: Callable[[argparse.Namespace], int], what: str, *, changes: bool = False
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = inner.add_parser(name, help=what, description=what)
    parser.set_defaults(run=_reported(run))
    if name != "import":
        parser.add_argument("--config", type=Path, metavar="JSON", help="the file that names the workspace")
        parser.add_argument(
            "--patience", type=_from(1), default=60, metavar="MIN", help="minutes to wait (default: %(default)s)"
        )
    if changes:
        parser.add_argument("--apply", action="store_true", help="make the change instead of printing it")
    return parser


def _reported(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap `run`: if Azure reports an error, print it with its code, Azure's text and the next steps, and return 3."""

    def reported(given: argparse.Namespace) -> int:
        try:
            for name in _names(given):
                checked_name(name)
            return run(given)
        except AzureError as error:
            lines = [f"maskrelay: {error.detail} [{error.code}]"]
            if error.azure:
                lines.append(f"  Azure says: {error.azure}")
            lines += [f"  next: {way}" for way in error.ways]
            sys.stderr.write("\n".join(lines) + "\n")
            return 3

    return reported


def _names(given: argparse.Namespace) -> list[str]:
    """Return all names of endpoints and deployments in the arguments."""
    named = [getattr(given, "name", None), getattr(given, "deployment", None)]
    return [name for name in (*named, *dict(getattr(given, "shares", ()))) if name is not None]


def _share(text: str) -> tuple[str, int]:
    name, equals, percent = text.partition("=")
    if not equals or not percent.isdecimal():
        raise argparse.ArgumentTypeError("expected DEPLOYMENT=PERCENT")
    return name, int(percent)


def _from(least: int, most: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(
                f"expected a whole number, {least}" + (f" to {most}" if most else " or more")
            )
        return int(text)

    return number


def _probe(default: Probe) -> Callable[[str], Probe]:
    def probe(text: str) -> Probe:
        given = {"delay": default.delay, "period": default.period, "timeout": default.timeout}
        given |= {"failures": default.failures}
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name not in given or not value.isdecimal() or int(value) < 1:
                raise argparse.ArgumentTypeError("expected delay=S,period=S,timeout=S,failures=N, each at least 1")
            given[name] = int(value)
        return Probe(**given)

    return probe
