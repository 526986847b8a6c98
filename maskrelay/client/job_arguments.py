"""The options that the commands which submit jobs have in common."""

import argparse
import json
from typing import Any, get_args

from maskrelay.contract.vocabulary.outputs import Output


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a job, and `--wait`."""
    parser.add_argument(
        "--output",
        "--outputs",
        action="append",
        choices=get_args(Output),
        dest="outputs",
        help="a kind of file to create; may be repeated. The default depends on the kind of each source",
    )
    parser.add_argument(
        "--option",
        action="append",
        type=named_value,
        default=[],
        dest="options",
        metavar="NAME=VALUE",
        help="any other option of the job",
    )
    parser.add_argument("--endpoint", metavar="NAME", help="the only endpoint to use")
    parser.add_argument("--callback", metavar="URL", help="where to send signed events")
    parser.add_argument("--wait", action="store_true", help="show progress until the job has ended")


def named_value(text: str) -> tuple[str, Any]:
    """Parse `NAME=VALUE`, for example `intensity=ct-lung`.

    The value is parsed as JSON if possible, otherwise it is text.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("an option must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
