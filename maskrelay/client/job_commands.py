"""Commands for existing jobs and for the service's endpoints."""

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskrelay.client.command_client import CommandClient, connect
from maskrelay.client.output import Format, command, hint, out, show, show_rows
from maskrelay.client.responses import pictures
from maskrelay.client.submit_commands import state_of
from maskrelay.contract.views.dead_letter_views import DeadLetterShown
from maskrelay.contract.views.delivery_views import DeliveryShown
from maskrelay.contract.views.endpoint_views import EndpointShown


def add(subparsers: Any) -> None:
    """Add the commands. Each command stores its function in `run`."""
    status = command(subparsers, "status", _status, "show a job and its items")
    status.add_argument("job", metavar="ID")
    fetch = command(subparsers, "fetch", _fetch, "save a job's artifacts")
    fetch.add_argument("job", metavar="ID")
    fetch.add_argument("folder", type=Path, metavar="DIR")
    cancel = command(subparsers, "cancel", _cancel, "cancel a job")
    cancel.add_argument("job", metavar="ID")
    delete = command(subparsers, "delete", _delete, "delete jobs with their uploads and results")
    delete.add_argument("jobs", metavar="ID", nargs="+")
    prompts = command(subparsers, "prompts", _prompts, "list the prompts on which the model was trained")
    prompts.add_argument("--modality", help="only prompts for this modality, such as CT, MRI, ultrasound or pathology")
    prompts.add_argument("--site", help="only prompts for this site, such as abdomen")
    view = command(subparsers, "view", _view, "open a job in the browser")
    view.add_argument("job", metavar="ID")
    dead_letters = command(subparsers, "dead-letters", _dead_letters, "show which frames of a job failed, and why")
    dead_letters.add_argument("job", metavar="ID")
    dead_letters.add_argument("--code", help="only frames with this error code")
    redrive = command(subparsers, "redrive", _redrive, "submit the failed items of finished jobs again, as new jobs")
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("job", metavar="ID", nargs="?")
    which.add_argument("--all", action="store_true", help="all finished jobs")
    redrive.add_argument("--code", help="only items that failed with this error code")
    deliveries = command(subparsers, "deliveries", _deliveries, "show the events of a job and how they were delivered")
    deliveries.add_argument("job", metavar="ID")
    replay = command(subparsers, "replay", _replay, "send an event again")
    replay.add_argument("job", metavar="ID")
    replay.add_argument("event", metavar="EVENT")
    command(subparsers, "jobs", _jobs, "list the jobs, the newest first")
    command(subparsers, "endpoints", _endpoints, "show the limits, load and recent errors of each endpoint")


def _status(given: argparse.Namespace) -> int:
    with connect(given) as client:
        show(given.format, client.job(given.job), list(client.items(given.job)))
    return 0


def _fetch(given: argparse.Namespace) -> int:
    with connect(given) as client:
        job = client.job(given.job)
        items = list(client.items(job.id))
        with state_of(given.folder, client) as state:
            assert state is not None
            show(given.format, job, items, client.save_files(job.id, given.folder, items, state))
    return 0 if job.state == "succeeded" else 1


def _cancel(given: argparse.Namespace) -> int:
    with connect(given) as client:
        show(given.format, client.cancel(given.job))
    return 0


def _delete(given: argparse.Namespace) -> int:
    with connect(given) as client:
        for job_id in given.jobs:
            client.delete(job_id)
            hint(given, f"job {job_id} was deleted")
    return 0


def _prompts(given: argparse.Namespace) -> int:
    with connect(given) as client:
        prompts = client.prompts(given.modality, given.site)
    rows = [(target.prompt, target.modality, target.site) for target in prompts]
    show_rows(
        given.format, ("prompt", "modality", "site"), rows, [target.model_dump(mode="json") for target in prompts]
    )
    return 0


def _view(given: argparse.Namespace) -> int:
    """Open the page of a job. The address is printed too, because the browser may be on another machine."""
    with connect(given) as client:
        address = f"{client.url}/#/jobs/{client.job(given.job).id}"
    out(address)
    webbrowser.open(address)
    return 0


def _dead_letters(given: argparse.Namespace) -> int:
    with connect(given) as client:
        letters = list(client.dead_letters(given.job, given.code))
        names = _source_names(client, given.job) if letters else {}

    def name_of(letter: DeadLetterShown) -> str | None:
        return names.get((letter.custom_id, letter.frame)) or names.get((letter.custom_id, None))

    rows = [
        (name_of(letter) or letter.custom_id, letter.frame, letter.attempts, letter.error.code, letter.error.detail)
        for letter in letters
    ]
    documents = [{**letter.model_dump(mode="json"), "source_name": name_of(letter)} for letter in letters]
    show_rows(given.format, ("source", "frame", "attempts", "error", "detail"), rows, documents)
    return 0


def _source_names(client: CommandClient, job_id: str) -> dict[tuple[str, int | None], str | None]:
    """Return the names of the files that the caller submitted, by custom id and frame."""
    names: dict[tuple[str, int | None], str | None] = {}
    for item in client.items(job_id):
        names[item.custom_id, None] = item.source_name
        names |= {(item.custom_id, number): picture.source_name for number, picture in pictures(item)}
    return names


def _redrive(given: argparse.Namespace) -> int:
    """Redrive one job or all finished jobs. Return 1 if some jobs could not be redriven."""
    with connect(given) as client:
        if not given.all:
            show(given.format, client.redrive(given.job, given.code))
            return 0
        done = client.redrive_all(given.code)
    rows: list[tuple[object, ...]] = [(job.redrive_of, job.id, job.state, job.counts.total) for job in done.jobs]
    rows += [(refusal.job, None, f"{refusal.error.code}: {refusal.error.detail}", None) for refusal in done.refused]
    documents = done.model_dump(mode="json", exclude_none=True)
    show_rows(given.format, ("job", "new job", "state", "items"), rows, documents)
    return 1 if done.refused else 0


def _deliveries(given: argparse.Namespace) -> int:
    with connect(given) as client:
        _show_deliveries(given.format, client.deliveries(given.job))
    return 0


def _replay(given: argparse.Namespace) -> int:
    with connect(given) as client:
        _show_deliveries(given.format, [client.replay(given.job, given.event)])
    return 0


def _show_deliveries(form: Format, deliveries: Sequence[DeliveryShown]) -> None:
    rows = [
        (delivery.event, delivery.type, delivery.state, delivery.attempts, delivery.status, delivery.reason)
        for delivery in deliveries
    ]
    documents = [delivery.model_dump(mode="json") for delivery in deliveries]
    show_rows(form, ("event", "type", "state", "attempts", "status", "last"), rows, documents)


def _jobs(given: argparse.Namespace) -> int:
    """List the jobs. Those whose record the service cannot read come last, with the state `unreadable`."""
    unreadable: list[str] = []
    with connect(given) as client:
        jobs = list(client.jobs(unreadable=unreadable.append))
    documents = [job.model_dump(mode="json", exclude_none=True) for job in jobs]
    documents += [{"id": job_id, "state": "unreadable"} for job_id in unreadable]
    rows: list[tuple[object, ...]] = [
        (job.id, job.state, job.counts.total, job.counts.succeeded, job.counts.failed, f"{job.created_at:%F %T}")
        for job in jobs
    ]
    rows += [(job_id, "unreadable", None, None, None, None) for job_id in unreadable]
    show_rows(given.format, ("job", "state", "items", "succeeded", "failed", "created (UTC)"), rows, documents)
    return 0


def _endpoints(given: argparse.Namespace) -> int:
    with connect(given) as client:
        endpoints = client.endpoints()
    head = ("endpoint", "gate", "in flight", "limit", "most", "waiting", "MB/s", "errors")
    documents = [endpoint.model_dump(mode="json") for endpoint in endpoints]
    show_rows(given.format, head, [_endpoint_row(endpoint) for endpoint in endpoints], documents)
    return 0


def _endpoint_row(endpoint: EndpointShown) -> tuple[object, ...]:
    gate = (
        endpoint.gate
        if endpoint.gate == "open"
        else f"{endpoint.gate} {endpoint.closed_for_s:.0f} s {endpoint.reason}".rstrip()
    )
    errors = ", ".join(f"{kind} {count}" for kind, count in sorted(endpoint.errors.items()))
    waiting = endpoint.waiting.interactive + endpoint.waiting.bulk
    megabytes = f"{endpoint.tokens.bytes_per_s_learnt / 1e6:.1f}"
    return endpoint.name, gate, endpoint.in_flight, endpoint.limit, endpoint.max_in_flight, waiting, megabytes, errors
