"""`maskrelay doctor`: check everything that the service depends on, and print what is wrong and how to fix it.

The checks of the service need the libraries of its processes. Without them, only the client is checked. The checks are
imported when the command runs.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskrelay.admin.checks.finding import Finding

_EPILOG = """\
Run it with the environment of the process that you want to check. What is not configured is skipped. While `make up`
is running, run the command in the same folder (or with the same DATA): it then checks the embedded stack. In any case,
it checks the address and the API key of the client.
It writes one object and removes it, and sends one test image to each endpoint, in addition to the workers' requests.
Exit codes: 0 if nothing is wrong, 1 if something is. A warning does not count as wrong."""


def add(subparsers: Any) -> None:
    """Add the command."""
    what = "check everything that the service depends on, and print what is wrong"
    parser = subparsers.add_parser(
        "doctor", help=what, description=what, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.add_argument("--profile", metavar="NAME", default=argparse.SUPPRESS, help="the profile of the client")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the findings. Return 1 if the state of any finding is `wrong`, otherwise 0."""
    findings = []
    for finding in _findings(os.environ, given.profile):
        findings.append(finding)
        if not given.json:
            sys.stdout.write(_line(finding) + "\n")
            sys.stdout.flush()
    healthy = all(finding.state != "wrong" for finding in findings)
    if given.json:
        sys.stdout.write(json.dumps({"healthy": healthy, "checks": [asdict(one) for one in findings]}, indent=2) + "\n")
    return 0 if healthy else 1


def _findings(environment: Mapping[str, str], profile: str | None) -> "Iterator[Finding]":
    """Yield what is found in the service and in the client."""
    from maskrelay.admin.checks import client_check  # noqa: PLC0415 - for the speed of the other commands
    from maskrelay.admin.checks.finding import skip  # noqa: PLC0415
    from maskrelay.admin.checks.surroundings import surroundings  # noqa: PLC0415

    here = surroundings(environment, has_client=client_check.is_set_up(profile))
    yield from here.findings
    if here.environment is not None:
        if any(find_spec(module) is None for module in ("redis", "boto3")):
            yield skip("service", "not checked, because this needs the extra `api` or `worker`")
        else:
            from maskrelay.admin.checks.diagnosis import diagnose  # noqa: PLC0415

            yield from diagnose(here.environment)
    yield from client_check.check(profile)


def _line(finding: "Finding") -> str:
    hint = f" → {finding.hint}" if finding.hint else ""
    return f"{finding.state:5}  {finding.check}: {finding.said}{hint}"
