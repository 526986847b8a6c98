"""What the command line client does: submit, status, fetch, cancel, redrive, deliveries, replay, jobs, endpoints."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from maskrelay.client.client import Client
from maskrelay.client.progress import Progress
from maskrelay.client.saving import SavedFile
from maskrelay.client.shown import as_json, as_text
from maskrelay.client.table import table
from maskrelay.contract.deliveries import DeliveryShown
from maskrelay.contract.endpoints import EndpointShown
from maskrelay.contract.jobs import Lane
from maskrelay.contract.outputs import Output
from maskrelay.contract.shown import ItemShown, JobShown


def add(subparsers: Any) -> None:
    """Add the commands; each leaves its function in `run`."""
    submit = _command(subparsers, "submit", _submit, "submit images as one job")
    submit.add_argument("files", nargs="+", type=Path, metavar="FILE")
    submit.add_argument("--prompt", action="append", required=True, dest="prompts", help="what to segment; repeat it")
    submit.add_argument("--output", action="append", choices=get_args(Output), dest="outputs", help="repeat it")
    submit.add_argument(
        "--option", action="append", type=_option, default=[], dest="options", metavar="NAME=VALUE", help="any other"
    )
    submit.add_argument("--lane", choices=get_args(Lane), help="by default the number of files decides")
    submit.add_argument("--endpoint", metavar="NAME", help="the only endpoint to score at")
    submit.add_argument("--callback", metavar="URL", help="where signed events go")
    submit.add_argument("--wait", action="store_true", help="show progress until the job has ended")
    submit.add_argument("--save", type=Path, metavar="DIR", help="wait, then save every artifact")
    status = _command(subparsers, "status", _status, "show a job and its items")
    status.add_argument("job", metavar="ID")
    fetch = _command(subparsers, "fetch", _fetch, "save a job's artifacts")
    fetch.add_argument("job", metavar="ID")
    fetch.add_argument("folder", type=Path, metavar="DIR")
    cancel = _command(subparsers, "cancel", _cancel, "ask for a job's end")
    cancel.add_argument("job", metavar="ID")
    dead_letters = _command(subparsers, "dead-letters", _dead_letters, "show a job's frames that failed, and why")
    dead_letters.add_argument("job", metavar="ID")
    dead_letters.add_argument("--code", help="only by this error")
    redrive = _command(subparsers, "redrive", _redrive, "do the failed items of finished jobs again, as new jobs")
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("job", metavar="ID", nargs="?")
    which.add_argument("--all", action="store_true", help="of every job that has ended")
    redrive.add_argument("--code", help="only items that failed by this error")
    deliveries = _command(subparsers, "deliveries", _deliveries, "show a job's events on their way to its callback")
    deliveries.add_argument("job", metavar="ID")
    replay = _command(subparsers, "replay", _replay, "send an event again")
    replay.add_argument("job", metavar="ID")
    replay.add_argument("event", metavar="EVENT")
    _command(subparsers, "jobs", _jobs, "list the jobs, the newest first")
    _command(subparsers, "endpoints", _endpoints, "show what each endpoint bears and what holds it back")


def _option(text: str) -> tuple[str, Any]:
    """`intensity=ct-lung`, `volume=2`: the value is JSON where it reads as such, and text otherwise."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("an option is NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.set_defaults(run=run)
    return parser


def _submit(given: argparse.Namespace) -> int:
    progress = Progress(sys.stderr)
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)  # before an hour of work, not after
    with Client() as client:
        options = {name: getattr(given, name) for name in ("outputs", "callback", "lane", "endpoint")}
        accepted = client.submit(given.files, given.prompts, **options, options=dict(given.options))
        if not (given.wait or given.save):
            _show(given.json, accepted)
            return 0
        sys.stderr.write(f"job {accepted.id}\n")
        try:
            job = client.wait(accepted.id, on_progress=progress)
        except KeyboardInterrupt:
            progress.end()
            sys.stderr.write(f"the job goes on: maskrelay status {accepted.id}, maskrelay cancel {accepted.id}\n")
            raise
        job.callback = accepted.callback  # it alone shows a generated secret
        saved = client.save(job.id, given.save) if given.save else []
        _show(given.json, job, list(client.items(job.id)), saved)
    return 0 if job.state == "succeeded" else 1


def _status(given: argparse.Namespace) -> int:
    with Client() as client:
        _show(given.json, client.job(given.job), list(client.items(given.job)))
    return 0


def _fetch(given: argparse.Namespace) -> int:
    with Client() as client:
        job = client.job(given.job)
        _show(given.json, job, list(client.items(job.id)), client.save(job.id, given.folder))
    return 0 if job.state == "succeeded" else 1


def _cancel(given: argparse.Namespace) -> int:
    with Client() as client:
        _show(given.json, client.cancel(given.job))
    return 0


def _dead_letters(given: argparse.Namespace) -> int:
    with Client() as client:
        letters = list(client.dead_letters(given.job, given.code))
    if given.json:
        _out(json.dumps([one.model_dump(mode="json") for one in letters], indent=2))
        return 0
    rows = [(one.custom_id, one.frame, one.attempts, one.error.code, one.error.detail) for one in letters]
    _out(table(("item", "frame", "attempts", "error", "detail"), rows))
    return 0


def _redrive(given: argparse.Namespace) -> int:
    """Exit code 1: some jobs could not be done again."""
    with Client() as client:
        if not given.all:
            _show(given.json, client.redrive(given.job, given.code))
            return 0
        done = client.redrive_all(given.code)
    if given.json:
        _out(done.model_dump_json(exclude_none=True, indent=2))
    else:
        rows: list[tuple[object, ...]] = [(job.redrive_of, job.id, job.state, job.counts.total) for job in done.jobs]
        rows += [(one.job, None, f"{one.error.code}: {one.error.detail}", None) for one in done.refused]
        _out(table(("job", "done again as", "state", "items"), rows))
    return 1 if done.refused else 0


def _deliveries(given: argparse.Namespace) -> int:
    with Client() as client:
        _show_deliveries(given.json, client.deliveries(given.job))
    return 0


def _replay(given: argparse.Namespace) -> int:
    with Client() as client:
        _show_deliveries(given.json, [client.replay(given.job, given.event)])
    return 0


def _show_deliveries(wants_json: bool, deliveries: Sequence[DeliveryShown]) -> None:
    if wants_json:
        _out(json.dumps([one.model_dump(mode="json") for one in deliveries], indent=2))
        return
    rows = [(one.event, one.type, one.state, one.attempts, one.status, one.reason) for one in deliveries]
    _out(table(("event", "type", "state", "attempts", "status", "last"), rows))


def _jobs(given: argparse.Namespace) -> int:
    with Client() as client:
        jobs = list(client.jobs())
    if given.json:
        _out(json.dumps([job.model_dump(mode="json", exclude_none=True) for job in jobs], indent=2))
        return 0
    rows = [
        (job.id, job.state, job.counts.total, job.counts.succeeded, job.counts.failed, f"{job.created_at:%F %T}")
        for job in jobs
    ]
    _out(table(("job", "state", "items", "succeeded", "failed", "created (UTC)"), rows))
    return 0


def _endpoints(given: argparse.Namespace) -> int:
    with Client() as client:
        endpoints = client.endpoints()
    if given.json:
        _out(json.dumps([one.model_dump(mode="json") for one in endpoints], indent=2))
        return 0
    head = ("endpoint", "gate", "in flight", "limit", "most", "waiting", "MB/s", "errors")
    _out(table(head, [_endpoint_row(one) for one in endpoints]))
    return 0


def _endpoint_row(one: EndpointShown) -> tuple[object, ...]:
    gate = one.gate if one.gate == "open" else f"{one.gate} {one.closed_for_s:.0f} s {one.reason}".rstrip()
    errors = ", ".join(f"{kind} {count}" for kind, count in sorted(one.errors.items()))
    waiting = one.waiting.interactive + one.waiting.bulk
    megabytes = f"{one.tokens.bytes_per_s_learnt / 1e6:.1f}"
    return one.name, gate, one.in_flight, one.limit, one.max_in_flight, waiting, megabytes, errors


def _show(wants_json: bool, job: JobShown, items: Sequence[ItemShown] = (), saved: Sequence[SavedFile] = ()) -> None:
    _out((as_json if wants_json else as_text)(job, items, saved))


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")
