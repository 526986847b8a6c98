"""`maskrelay recover`: the sweep's own pass, now, and told."""

import argparse
import os
import sys
from datetime import UTC, datetime
from typing import Any

from maskrelay import logs
from maskrelay.settings import Settings

_ABOUT = """\
Does at once what the sweep of the control workers does bit by bit, and says what it found: compares storage with the
ledger, takes back leases of workers that died, sends lost wake-ups, and removes what is stray or over. It also lets
jobs go on that ended without a result because a step failed again and again: run it once the cause is gone. A job
whose objects cannot be read is left out and named. Safe beside running workers, in any number, at any time. It needs
the settings of a worker."""


def add(subparsers: Any) -> None:
    """Add the command; it leaves its function in `run`."""
    parser = subparsers.add_parser(
        "recover",
        help="put right, now, whatever was lost",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    # other commands must not wait for what a worker imports
    from worker.parts import build  # noqa: PLC0415
    from worker.recovery import recover  # noqa: PLC0415

    settings = Settings.from_environment(os.environ)
    logs.configure("info", settings.log_format)
    parts = build(settings, "recover")
    found = recover(parts, datetime.now(UTC))
    parts.noticed.tell()
    if "live jobs compared" not in found:
        sys.stdout.write("another process is comparing storage with the ledger just now\n")
    for what, count in found.items():
        sys.stdout.write(f"{count:>8}  {what}\n")
    return 0
