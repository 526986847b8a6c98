"""`python -m api [--host HOST] [--port PORT]`: serve the API with read deadlines and a connection limit, until SIGTERM.

Without `--host` it listens on every address of the machine, IPv4 and IPv6. `uvicorn api.app:create --factory` serves
the same application without these protections, for deployments where a proxy in front provides them.
"""

import argparse
import os
import resource
import sys

import uvicorn

from api.app import create
from api.dependencies import is_loopback
from api.http.connections import MOST, guarded
from maskrelay.errors import SettingsError
from maskrelay.settings import Settings, name_of

#: File descriptors reserved for everything but callers' connections: Redis, the object store, files being written.
_RESERVED = 1024


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="", help="by default every address, of IPv4 and of IPv6")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--grace", type=int, default=30, metavar="SECONDS", help="for requests under way at the end")
    given = parser.parse_args(arguments)
    try:
        _require_public_url(given.host)
        connections = most_connections(_descriptors())
        config = uvicorn.Config(
            create,
            factory=True,
            host=given.host,
            port=given.port,
            http=guarded(connections),
            # asyncio accepts this many in a row before any of them is counted, so it must not exceed the rest.
            backlog=max(16, connections // 4),
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=given.grace,
        )
        config.load()
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    uvicorn.Server(config).run()
    return 0


def _require_public_url(host: str) -> None:
    """Raise SettingsError if links would be built from the `Host` header of any caller."""
    if not is_loopback(host) and Settings.from_environment(os.environ).public_url is None:
        name = name_of("public_url")
        raise SettingsError(f"{name} must be set unless the API listens only on loopback, because links start with it")


def most_connections(descriptors: int) -> int:
    """Return how many callers' connections a process with this descriptor limit may hold: at most half of it."""
    return min(MOST, max(descriptors - _RESERVED, descriptors // 2))


def _descriptors() -> int:
    """Raise the limit of open file descriptors to the maximum for this process, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, MOST + _RESERVED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
