"""The `maskrelay` command-line client."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points, version

from maskrelay.client import (
    completion_command,
    job_commands,
    mcp_command,
    run_commands,
    submit_commands,
    watch_commands,
)
from maskrelay.client.output import add_common_options
from maskrelay.client.table import printable
from maskrelay.errors import ClientError, MaskrelayError

_EPILOG = """\
Set MASKRELAY_URL to the address of the service (default http://127.0.0.1:8080) and MASKRELAY_API_KEY to your key, or
write profiles to ~/.config/maskrelay.toml.
Exit codes: 0 success; 1 the job did not succeed completely; 2 wrong usage; 3 the request was refused, or a file on this
machine could not be read or written; 4 the service cannot be reached or understood; 130 interrupted (the job continues;
repeat the command).
For research use only, not for clinical use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Print an error as one line on stderr, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):  # replace characters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    given = build_parser().parse_args(arguments)
    if "json" in given and given.format == "json":  # the operators' commands have an option of their own
        given.json = True
    try:
        code: int = given.run(given)
    except MaskrelayError as error:
        _say(printable(" ".join([f"maskrelay: {error.detail}", *getattr(error, "__notes__", ())])))
        for place, detail in error.answer.places if error.answer else ():
            _say(printable(f"  {place}: {detail}"))
        return 4 if isinstance(error, ClientError) else 3
    except BrokenPipeError:  # for example in `maskrelay jobs | head`
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _say(f"maskrelay: {error.filename or 'this machine'}: {error.strerror or type(error).__name__}")
        return 3
    except KeyboardInterrupt:
        return 130
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands whose libraries are installed."""
    parser = argparse.ArgumentParser(
        prog="maskrelay",
        description="Segment medical images by text prompts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"maskrelay {version('maskrelay')}")
    add_common_options(parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    submit_commands.add(subparsers)
    run_commands.add(subparsers)
    job_commands.add(subparsers)
    watch_commands.add(subparsers)
    mcp_command.add(subparsers)
    completion_command.add(subparsers, parser)
    for entry in entry_points(group="maskrelay.commands"):
        with suppress(ModuleNotFoundError):  # the extra that the command needs is not installed
            entry.load()(subparsers)
    return parser


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
