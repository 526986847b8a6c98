"""The command `mcp`: a server of the Model Context Protocol on the standard input and output."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from maskrelay.client.allowed_folders import AllowedFolders
from maskrelay.client.command_client import connect
from maskrelay.client.output import command
from maskrelay.errors import SettingsError


def add(subparsers: Any) -> None:
    """Add the command."""
    mcp = command(subparsers, "mcp", _serve, "serve tools for language models (MCP) on the standard input and output")
    mcp.add_argument(
        "--root",
        action="append",
        type=Path,
        required=True,
        dest="roots",
        metavar="DIR",
        help="a folder in which the model may read and write files; may be repeated",
    )


def _serve(given: argparse.Namespace) -> int:
    """Serve until the standard input ends."""
    if find_spec("mcp") is None:
        raise SettingsError("This command needs the extra `mcp`: pip install 'maskrelay[mcp]'.")
    from maskrelay.client.mcp_server import server_of  # noqa: PLC0415 - it needs the extra

    allowed = AllowedFolders.of(given.roots)
    with connect(given) as client:
        server_of(client, allowed).run("stdio")
    return 0
