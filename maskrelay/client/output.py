"""Functions that all commands use: add a command to the argument parser, and print its results."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from maskrelay.client.download import SavedFile
from maskrelay.client.render import as_json, as_text
from maskrelay.contract.views.job_views import ItemShown, JobShown


def command(subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    """Add a command that calls `run`. Its help text is `what`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def show(wants_json: bool, job: JobShown, items: Sequence[ItemShown] = (), saved: Sequence[SavedFile] = ()) -> None:
    """Print a job, its items and the saved files."""
    out((as_json if wants_json else as_text)(job, items, saved))


def out(text: str) -> None:
    sys.stdout.write(text + "\n")
