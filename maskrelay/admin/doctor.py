"""`maskrelay doctor`: check everything that the service depends on, and print what is wrong and how to fix it."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskrelay.admin.checks.finding import Finding

_EPILOG = """\
Run it with the environment of the process that you want to check. What is not configured is skipped.
It writes one object and removes it, and sends one test image to each endpoint, in addition to the workers' requests.
Exit codes: 0 if nothing is wrong, 1 if something is. A warning does not count as wrong."""

# The command is available only if the libraries of its checks are installed. The checks are imported when it runs.
for _module in ("redis", "boto3"):
    if find_spec(_module) is None:
        raise ModuleNotFoundError(_module)


def add(subparsers: Any) -> None:
    """Add the command."""
    what = "check everything that the service depends on, and print what is wrong"
    parser = subparsers.add_parser(
        "doctor", help=what, description=what, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print the findings. Return 1 if the state of any finding is `wrong`, otherwise 0."""
    from maskrelay.admin.checks.diagnosis import diagnose  # noqa: PLC0415

    findings = []
    for finding in diagnose(os.environ):
        findings.append(finding)
        if not given.json:
            sys.stdout.write(_line(finding) + "\n")
            sys.stdout.flush()
    healthy = all(finding.state != "wrong" for finding in findings)
    if given.json:
        sys.stdout.write(json.dumps({"healthy": healthy, "checks": [asdict(one) for one in findings]}, indent=2) + "\n")
    return 0 if healthy else 1


def _line(finding: "Finding") -> str:
    hint = f" → {finding.hint}" if finding.hint else ""
    return f"{finding.state:5}  {finding.check}: {finding.said}{hint}"
