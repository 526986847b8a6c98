"""`maskrelay recover`: do the work of the sweep once, immediately, and print what it found."""

import argparse
import importlib
import importlib.util
from typing import Any

_ABOUT = """\
Do immediately what the sweep of the control workers does in small steps, and print what was found. The command
compares the storage with the ledger, releases the leases of workers that died, sends lost wake-ups, and removes stray
and expired objects. It also resumes jobs that ended without a result because a step failed repeatedly; run it when the
cause is fixed. A job whose objects cannot be read is left out and listed. You can run the command at any time, while
workers are running, and several times at once. It needs the settings of a worker."""


def add(subparsers: Any) -> None:
    """Add the command to the parser.

    The command needs the package `worker`, which the wheel does not contain. Without this package, nothing is added.
    """
    if importlib.util.find_spec("worker") is None:
        return
    parser = subparsers.add_parser(
        "recover",
        help="find and repair lost work immediately",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    # The package `worker` is not part of `maskrelay`, so it is imported by name. It is imported only when the command
    # runs, because this takes a while.
    code: int = importlib.import_module("worker.sweep.recover").recover_and_print()
    return code
