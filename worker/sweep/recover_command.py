"""`maskrelay recover`: do the work of the sweep once, immediately, and print what it found."""

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import Any

from maskrelay.settings import Settings
from maskrelay.telemetry import logs

_ABOUT = """\
Do immediately what the sweep of the control workers does in small steps, and print what was found. The command
compares the storage with the ledger, releases the leases of workers that died, sends lost wake-ups, and removes stray
and expired objects. It also resumes jobs that ended without a result because a step failed repeatedly; run it when the
cause is fixed. A job whose objects cannot be read is left out and listed. You can run the command at any time, while
workers are running, and several times at once. It needs the settings of a worker."""


def add(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "recover",
        help="find and repair lost work immediately",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    # Imported here, so that other commands need not wait for the imports of a worker.
    from worker.context import build  # noqa: PLC0415
    from worker.sweep.recover import recover  # noqa: PLC0415

    settings = Settings.from_environment(os.environ)
    logs.configure("info", settings.log_format)
    parts = build(settings, "recover")
    found = recover(parts, datetime.now(UTC))
    parts.recorder.tell()
    if "live jobs compared" not in found:
        sys.stdout.write("another process is already comparing the storage with the ledger\n")
    for what, count in found.items():
        sys.stdout.write(f"{count:>8}  {what}\n")
    return 0
