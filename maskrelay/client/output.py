"""Functions that all commands use: add a command to the argument parser, and print its results."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from maskrelay.client.download import SavedFile
from maskrelay.client.render import as_agent, as_csv, as_json, as_text
from maskrelay.client.table import printable, table
from maskrelay.contract.csv_cells import plain_cell
from maskrelay.contract.views.job_views import ItemShown, JobShown

Format = Literal["text", "json", "csv", "agent"]
_SHOWN: dict[str, Callable[[JobShown, Sequence[ItemShown], Sequence[SavedFile]], str]] = {
    "text": as_text,
    "json": as_json,
    "csv": as_csv,
    "agent": as_agent,
}


def command(subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    """Add a command that calls `run`. Its help text is `what`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=what, description=what)
    add_common_options(parser, argparse.SUPPRESS)  # what was given before the command stays
    parser.set_defaults(run=run)
    return parser


def add_common_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    """Add the options that can be given before and after the name of the command."""
    chosen = parser.add_mutually_exclusive_group()
    form = "text" if default is None else default
    chosen.add_argument(
        "--format",
        choices=get_args(Format),
        default=form,
        help="text for people (the default), json, csv, or agent: complete plain text for programs that read text",
    )
    for name in ("json", "csv"):
        chosen.add_argument(
            f"--{name}", action="store_const", const=name, dest="format", default=form, help=f"print {name.upper()}"
        )
    quiet = False if default is None else default
    parser.add_argument("-q", "--quiet", action="store_true", default=quiet, help="show no progress and no hints")
    parser.add_argument(
        "--profile", metavar="NAME", default=default, help="a profile of ~/.config/maskrelay.toml (address and key)"
    )


def show(form: Format, job: JobShown, items: Sequence[ItemShown] = (), saved: Sequence[SavedFile] = ()) -> None:
    """Print a job, its items and the saved files."""
    out(_SHOWN[form](job, items, saved))


def show_rows(form: Format, head: Sequence[str], rows: Sequence[Sequence[object]], documents: Any) -> None:
    """Print a list: `documents` as JSON, otherwise the rows."""
    if form == "json":
        out(json.dumps(documents, indent=2, ensure_ascii=False))
    elif form == "csv":
        out(csv_text([head, *rows]))
    elif form == "agent":
        out("\n".join("\t".join(printable(cell) for cell in row) for row in (head, *rows)))
    else:
        out(table(head, rows))


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV without the last line break."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([plain_cell(cell) for cell in row] for row in rows)
    return written.getvalue().removesuffix("\n")


def out(text: str) -> None:
    sys.stdout.write(text + "\n")


def hint(given: argparse.Namespace, text: str) -> None:
    """Print a line on stderr, unless the caller wants none."""
    if not given.quiet:
        sys.stderr.write(text + "\n")
