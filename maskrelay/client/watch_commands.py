"""The command `watch`: new folders of a store become jobs."""

import argparse
from typing import Any

from maskrelay.client.command_client import connect
from maskrelay.client.job_arguments import named_value
from maskrelay.client.output import command, hint, show_rows
from maskrelay.contract.views.watch_views import WatchShown

_HEAD = ("id", "source", "pattern", "prompts", "settle", "expected")


def add(subparsers: Any) -> None:
    """Add the command with its own commands `add`, `list` and `remove`."""
    watch = subparsers.add_parser("watch", help="make a job of every new folder of a store")
    commands = watch.add_subparsers(required=True, metavar="COMMAND")
    new = command(commands, "add", _add, "watch a prefix; every folder in it becomes a job when it has arrived")
    new.add_argument("--source", required=True, metavar="URL", help="a prefix, such as s3://bucket/incoming/")
    new.add_argument(
        "--prompt", action="append", required=True, metavar="TEXT", help="what to segment; may be repeated"
    )
    new.add_argument("--credential", metavar="NAME", help="the credential with which the objects are read")
    new.add_argument("--pattern", metavar="GLOB", help="only objects with such names, for example *.dcm")
    new.add_argument("--settle", type=float, metavar="SECONDS", help="how long a folder must not change (60)")
    new.add_argument("--expected", type=int, metavar="N", help="a folder with so many objects is complete at once")
    new.add_argument("--period", type=float, metavar="SECONDS", help="the time between two listings (300)")
    new.add_argument("--changes", metavar="URL", help="the list of changes of an Orthanc, in which the source is")
    new.add_argument(
        "--option", action="append", type=named_value, default=[], metavar="NAME=VALUE", help="an option of each job"
    )
    command(commands, "list", _list, "list the watches")
    remove = command(commands, "remove", _remove, "end a watch; its jobs continue")
    remove.add_argument("watch", metavar="ID")


def _add(given: argparse.Namespace) -> int:
    with connect(given) as client:
        watch = client.watch(
            given.source,
            given.prompt,
            credential=given.credential,
            pattern=given.pattern,
            settle_s=given.settle,
            expected=given.expected,
            period_s=given.period,
            changes=given.changes,
            options=dict(given.option) or None,
        )
        _show(given, [watch])
        hint(given, f"the store may send its notifications to {watch.events}")
    return 0


def _list(given: argparse.Namespace) -> int:
    with connect(given) as client:
        _show(given, client.watches())
    return 0


def _remove(given: argparse.Namespace) -> int:
    with connect(given) as client:
        client.unwatch(given.watch)
        hint(given, f"watch {given.watch} was removed")
    return 0


def _show(given: argparse.Namespace, watches: list[WatchShown]) -> None:
    rows = [
        (watch.id, watch.source, watch.pattern or "", ", ".join(watch.prompts), watch.settle_s, watch.expected or "")
        for watch in watches
    ]
    show_rows(given.format, _HEAD, rows, [watch.model_dump(mode="json", exclude_none=True) for watch in watches])
