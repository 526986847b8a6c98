"""Commands for existing jobs and for the service's endpoints."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskrelay.client.output import command, out, show
from maskrelay.client.service_client import Client
from maskrelay.client.table import table
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
    with Client() as client:
        show(given.json, client.job(given.job), list(client.items(given.job)))
    return 0


def _fetch(given: argparse.Namespace) -> int:
    with Client() as client:
        job = client.job(given.job)
        show(given.json, job, list(client.items(job.id)), client.save(job.id, given.folder))
    return 0 if job.state == "succeeded" else 1


def _cancel(given: argparse.Namespace) -> int:
    with Client() as client:
        show(given.json, client.cancel(given.job))
    return 0


def _dead_letters(given: argparse.Namespace) -> int:
    with Client() as client:
        letters = list(client.dead_letters(given.job, given.code))
    if given.json:
        out(json.dumps([letter.model_dump(mode="json") for letter in letters], indent=2))
        return 0
    rows = [
        (letter.custom_id, letter.frame, letter.attempts, letter.error.code, letter.error.detail) for letter in letters
    ]
    out(table(("item", "frame", "attempts", "error", "detail"), rows))
    return 0


def _redrive(given: argparse.Namespace) -> int:
    """Redrive one job or all finished jobs. Return 1 if some jobs could not be redriven."""
    with Client() as client:
        if not given.all:
            show(given.json, client.redrive(given.job, given.code))
            return 0
        done = client.redrive_all(given.code)
    if given.json:
        out(done.model_dump_json(exclude_none=True, indent=2))
    else:
        rows: list[tuple[object, ...]] = [(job.redrive_of, job.id, job.state, job.counts.total) for job in done.jobs]
        rows += [(refusal.job, None, f"{refusal.error.code}: {refusal.error.detail}", None) for refusal in done.refused]
        out(table(("job", "new job", "state", "items"), rows))
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
        out(json.dumps([delivery.model_dump(mode="json") for delivery in deliveries], indent=2))
        return
    rows = [
        (delivery.event, delivery.type, delivery.state, delivery.attempts, delivery.status, delivery.reason)
        for delivery in deliveries
    ]
    out(table(("event", "type", "state", "attempts", "status", "last"), rows))


def _jobs(given: argparse.Namespace) -> int:
    """List the jobs. Those whose record the service cannot read come last, with the state `unreadable`."""
    unreadable: list[str] = []
    with Client() as client:
        jobs = list(client.jobs(unreadable=unreadable.append))
    if given.json:
        documents = [job.model_dump(mode="json", exclude_none=True) for job in jobs]
        out(json.dumps(documents + [{"id": job_id, "state": "unreadable"} for job_id in unreadable], indent=2))
        return 0
    rows: list[tuple[object, ...]] = [
        (job.id, job.state, job.counts.total, job.counts.succeeded, job.counts.failed, f"{job.created_at:%F %T}")
        for job in jobs
    ]
    rows += [(job_id, "unreadable", None, None, None, None) for job_id in unreadable]
    out(table(("job", "state", "items", "succeeded", "failed", "created (UTC)"), rows))
    return 0


def _endpoints(given: argparse.Namespace) -> int:
    with Client() as client:
        endpoints = client.endpoints()
    if given.json:
        out(json.dumps([endpoint.model_dump(mode="json") for endpoint in endpoints], indent=2))
        return 0
    head = ("endpoint", "gate", "in flight", "limit", "most", "waiting", "MB/s", "errors")
    out(table(head, [_endpoint_row(endpoint) for endpoint in endpoints]))
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
