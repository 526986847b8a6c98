"""The commands `submit` and `wait`, which can show the progress of a job until it has ended."""

import argparse
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from maskrelay.client.output import command, show
from maskrelay.client.progress import JobProgress
from maskrelay.client.service_client import Client
from maskrelay.client.submission import key_of
from maskrelay.client.upload_sources import sources_of
from maskrelay.contract.records.job import Lane
from maskrelay.contract.views.job_views import JobShown
from maskrelay.contract.vocabulary.outputs import Output
from maskrelay.errors import Gone

#: A job that is older than this when the response arrives was submitted by an earlier command.
_EARLIER = timedelta(minutes=1)
_OPTIONS = ("outputs", "callback", "lane", "endpoint")


def add(subparsers: Any) -> None:
    """Add the commands. Each command stores its function in `run`."""
    submit = command(subparsers, "submit", _submit, "submit images as one job")
    submit.add_argument("files", nargs="+", type=Path, metavar="FILE")
    submit.add_argument(
        "--prompt", action="append", required=True, dest="prompts", help="what to segment; may be repeated"
    )
    submit.add_argument(
        "--output",
        action="append",
        choices=get_args(Output),
        dest="outputs",
        help="a kind of file to create; may be repeated",
    )
    submit.add_argument(
        "--option",
        action="append",
        type=_option,
        default=[],
        dest="options",
        metavar="NAME=VALUE",
        help="any other option of the job",
    )
    submit.add_argument("--lane", choices=get_args(Lane), help="the default depends on the number of files")
    submit.add_argument("--endpoint", metavar="NAME", help="the only endpoint to use")
    submit.add_argument("--callback", metavar="URL", help="where to send signed events")
    submit.add_argument("--wait", action="store_true", help="show progress until the job has ended")
    submit.add_argument("--save", type=Path, metavar="DIR", help="wait, then save every artifact")
    submit.add_argument("--again", action="store_true", help="submit a new job even if the same command was run before")
    wait = command(subparsers, "wait", _wait, "show a job's progress until it has ended")
    wait.add_argument("job", metavar="ID")
    wait.add_argument("--save", type=Path, metavar="DIR", help="then save every artifact")


def _option(text: str) -> tuple[str, Any]:
    """Parse `NAME=VALUE`, for example `intensity=ct-lung`.

    The value is parsed as JSON if possible, otherwise it is text.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("an option must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _submit(given: argparse.Namespace) -> int:
    _make_folder(given.save)
    with Client() as client:
        accepted = _accepted(client, given)
        if not (given.wait or given.save):
            show(given.json, accepted)
            return 0
        return _follow(client, accepted, given)


def _accepted(client: Client, given: argparse.Namespace) -> JobShown:
    """Submit the files of this command as a job, and return the accepted job.

    A repetition of a command gets the job of the first run, unless `--again` is given.
    """
    options = {name: getattr(given, name) for name in _OPTIONS}
    key = uuid.uuid4().hex if given.again else key_of(sources_of(given.files), given.prompts, _all_options(given))
    try:
        accepted = client.submit(
            given.files, given.prompts, **options, options=dict(given.options), idempotency_key=key
        )
    except Gone:
        raise Gone(
            "The same command was run before, and its job was deleted or has expired. Use --again to submit a new job."
        ) from None
    if datetime.now(UTC) - accepted.created_at > _EARLIER:
        made = f"{accepted.created_at:%F %T} UTC"
        sys.stderr.write(f"The same command submitted this job at {made}. Use --again to submit a new one.\n")
    return accepted


def _all_options(given: argparse.Namespace) -> dict[str, Any]:
    return {**dict(given.options), **{name: getattr(given, name) for name in _OPTIONS}}


def _wait(given: argparse.Namespace) -> int:
    _make_folder(given.save)
    with Client() as client:
        return _follow(client, client.job(given.job), given)


def _follow(client: Client, accepted: JobShown, given: argparse.Namespace) -> int:
    """Show progress until the job has ended, and save the requested files. Return 0 if the job has succeeded."""
    progress = JobProgress(sys.stderr)
    sys.stderr.write(f"job {accepted.id}\n")
    try:
        job = client.wait(accepted.id, on_progress=progress)
        job.callback = accepted.callback  # only the response to the submission has a generated secret
        saved = client.save(job.id, given.save) if given.save else []
    except KeyboardInterrupt:
        progress.end()
        folder = given.save or "DIR"
        sys.stderr.write(f"The job continues. To get its results: maskrelay wait {accepted.id} --save {folder}\n")
        sys.stderr.write(f"To cancel it: maskrelay cancel {accepted.id}\n")
        raise
    show(given.json, job, list(client.items(job.id)), saved)
    return 0 if job.state == "succeeded" else 1


def _make_folder(folder: Path | None) -> None:
    """Create the folder for the artifacts. This is done first, so an error is reported before the command waits."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
