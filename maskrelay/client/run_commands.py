"""The command `run`: the images of a bucket, of a DICOMweb service or of a manifest become a job."""

import argparse
import sys
from typing import Any, get_args

from maskrelay.client.command_client import connect
from maskrelay.client.job_arguments import add_job_options
from maskrelay.client.job_handles import Job
from maskrelay.client.output import command, hint, out, show
from maskrelay.client.progress import JobProgress
from maskrelay.contract.records.runs import ManifestFormat


def add(subparsers: Any) -> None:
    """Add the command."""
    run = command(subparsers, "run", _run, "submit a manifest, or the objects of a listing, as one job")
    run.add_argument(
        "source",
        metavar="SOURCE_OR_MANIFEST",
        help="a pattern such as 's3://bucket/ct/**/*.dcm', a DICOMweb study, series or query, or a manifest "
        "(.ndjson, .jsonl, .csv or .parquet)",
    )
    run.add_argument(
        "--prompt",
        action="append",
        default=[],
        dest="prompts",
        metavar="TEXT",
        help="what to segment; may be repeated. A manifest can have prompts of its own",
    )
    run.add_argument("--credential", metavar="NAME", help="the credential with which the source is read")
    run.add_argument(
        "--manifest-format", choices=get_args(ManifestFormat), help="if the ending of the manifest does not say it"
    )
    run.add_argument(
        "--max-rejected",
        type=float,
        metavar="SHARE",
        help="the share of the lines that may be rejected, from 0 to 1 (0)",
    )
    run.add_argument("--dry-run", action="store_true", help="segment nothing; wait, and print what the run would do")
    add_job_options(run)


def _run(given: argparse.Namespace) -> int:
    options = {
        "callback": {"url": given.callback} if given.callback else None,
        "endpoint": given.endpoint,
        "dry_run": given.dry_run or None,
        "max_rejected_share": given.max_rejected,
    }
    with connect(given) as client:
        job = client.run(
            given.source,
            given.prompts,
            credential=given.credential,
            manifest_format=given.manifest_format,
            outputs=given.outputs,
            options={**dict(given.options), **{name: value for name, value in options.items() if value is not None}},
        )
        if not (given.wait or given.dry_run):
            show(given.format, job)
            return 0
        callback = job.callback
        hint(given, f"job {job.id}")
        progress = JobProgress(sys.stderr, quiet=given.quiet)
        try:
            job = client.wait(job.id, on_progress=progress)
        except KeyboardInterrupt:
            progress.end()
            hint(given, f"The job continues. To wait for it: maskrelay wait {job.id}")
            hint(given, f"To cancel it: maskrelay cancel {job.id}")
            raise
    job.callback = callback  # only the response to the submission has a generated secret
    _show(given, job)
    return 0 if job.state == "succeeded" else 1


def _show(given: argparse.Namespace, job: Job) -> None:
    show(given.format, job)
    if job.rejected:
        hint(given, f"{job.rejected} lines were rejected; GET {job.links.rejected} lists them with the reasons")
    if job.forecast is not None and given.format in {"text", "agent"}:
        for name, value in job.forecast.model_dump().items():
            out(f"{name}: {'unknown' if value is None else value}")
