"""The commands `submit` and `wait`, which can show the progress of a job until it has ended."""

import argparse
import sys
import uuid
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from maskrelay.client.client_arguments import submission_of
from maskrelay.client.command_client import CommandClient, connect
from maskrelay.client.input_files import FoundFiles, found_files
from maskrelay.client.job_arguments import add_job_options
from maskrelay.client.job_handles import Job
from maskrelay.client.output import command, hint, show
from maskrelay.client.progress import JobProgress, UploadProgress
from maskrelay.client.run_state import RunState
from maskrelay.client.submission import key_of
from maskrelay.client.upload_sources import Source, sources_of
from maskrelay.contract.records.job import Lane
from maskrelay.errors import Gone, NotFound

#: A job that is older than this when the response arrives was submitted by an earlier command.
_EARLIER = timedelta(minutes=1)
_OPTIONS = ("outputs", "callback", "lane", "endpoint")


def add(subparsers: Any) -> None:
    """Add the commands. Each command stores its function in `run`."""
    submit = command(subparsers, "submit", _submit, "submit images as one job")
    submit.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a file, a folder with its subfolders, a pattern such as 'scans/**/*.dcm', or - for one image on stdin",
    )
    submit.add_argument("--files-from", metavar="LIST", help="a file with one path in each line, or - for stdin")
    submit.add_argument(
        "--prompt", action="append", required=True, dest="prompts", help="what to segment; may be repeated"
    )
    submit.add_argument("--lane", choices=get_args(Lane), help="the default depends on the number of files")
    add_job_options(submit)
    submit.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="wait, then save every artifact. If the command is interrupted, repeat it to continue",
    )
    submit.add_argument("--again", action="store_true", help="submit a new job even if the same command was run before")
    wait = command(subparsers, "wait", _wait, "show a job's progress until it has ended")
    wait.add_argument("job", metavar="ID")
    wait.add_argument("--save", type=Path, metavar="DIR", help="then save every artifact")


def _submit(given: argparse.Namespace) -> int:
    with connect(given) as client, state_of(given.save, client) as state:
        found = found_files(given.files, given.files_from, given.save)
        skipped = found.summary()
        if skipped:
            hint(given, skipped)
        try:
            accepted = _accepted(client, given, found, state)
        except KeyboardInterrupt:
            hint(given, "Nothing was submitted. Repeat the command to continue.")
            raise
        if not (given.wait or given.save):
            show(given.format, accepted)
            return 0
        return _follow(client, accepted, given, state)


def state_of(folder: Path | None, client: CommandClient) -> AbstractContextManager[RunState | None]:
    """Create the folder for the artifacts, and return its state.

    This is done first, so an error is reported before the command waits.
    """
    if folder is None:
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return RunState.opened(folder, client.url)


def _accepted(client: CommandClient, given: argparse.Namespace, found: FoundFiles, state: RunState | None) -> Job:
    """Submit the files of this command as a job, and return the accepted job.

    A repetition of a command gets the job of the first run, unless `--again` is given.
    """
    files: list[Source] = [*found.files, *([found.standard_input] if found.standard_input is not None else [])]
    options = {name: getattr(given, name) for name in _OPTIONS}
    sha256 = state.sha256 if state is not None else None
    content_key = key_of(sources_of(files), given.prompts, {**dict(given.options), **options}, sha256)
    known = None if given.again or state is None else _job_of(client, state.jobs.get(content_key))
    if known is not None:
        return _told(given, known)
    progress = UploadProgress(sys.stderr, len(files), quiet=given.quiet)
    submission = submission_of(
        files,
        given.prompts,
        **options,
        options=dict(given.options),
        idempotency_key=uuid.uuid4().hex if given.again else content_key,
        on_upload=progress,
    )
    try:
        accepted = client.submit_files(submission, state)
    except Gone:
        raise Gone(
            "The same command was run before, and its job was deleted or has expired. Use --again to submit a new job."
        ) from None
    finally:
        progress.end()
    if state is not None:
        state.submitted(content_key, accepted.id)
    return _told(given, accepted)


def _job_of(client: CommandClient, job_id: str | None) -> Job | None:
    """Return the job that an earlier run has submitted, if it is still there."""
    try:
        return None if job_id is None else client.job(job_id)
    except (Gone, NotFound):
        return None


def _told(given: argparse.Namespace, job: Job) -> Job:
    """Say so if the job is of an earlier run."""
    if datetime.now(UTC) - job.created_at > _EARLIER:
        made = f"{job.created_at:%F %T} UTC"
        hint(given, f"The same command submitted this job at {made}. Use --again to submit a new one.")
    return job


def _wait(given: argparse.Namespace) -> int:
    with connect(given) as client, state_of(given.save, client) as state:
        return _follow(client, client.job(given.job), given, state)


def _follow(client: CommandClient, accepted: Job, given: argparse.Namespace, state: RunState | None) -> int:
    """Show progress until the job has ended, and save the requested files. Return 0 if the job has succeeded."""
    progress = JobProgress(sys.stderr, quiet=given.quiet)
    hint(given, f"job {accepted.id}")
    try:
        job = client.wait(accepted.id, on_progress=progress)
        job.callback = accepted.callback  # only the response to the submission has a generated secret
        items = list(client.items(job.id))
        saved = client.save_files(job.id, given.save, items, state) if state is not None else []
    except KeyboardInterrupt:
        progress.end()
        folder = given.save or "DIR"
        hint(given, f"The job continues. To get its results: maskrelay wait {accepted.id} --save {folder}")
        hint(given, f"To cancel it: maskrelay cancel {accepted.id}")
        raise
    show(given.format, job, items, saved)
    return 0 if job.state == "succeeded" else 1
