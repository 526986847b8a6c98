"""`python -m api [--host HOST] [--port PORT]`: serve the API until SIGTERM, with read deadlines and a connection limit.

Without `--host`, it listens on every address of the machine, IPv4 and IPv6. `uvicorn api.app:create --factory` serves
the same application without the deadlines and the limit, for deployments where a proxy provides them.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import sys
from types import FrameType

import uvicorn

from api.app import create
from api.dependencies import is_loopback
from api.http.connections import MOST, guarded
from maskrelay.errors import SettingsError
from maskrelay.settings import Settings, name_of

#: The largest number of file descriptors that are reserved for Redis, the object store and files.
_RESERVED = 1024


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="", help="by default every address, of IPv4 and of IPv6")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument(
        "--grace",
        type=int,
        default=30,
        metavar="SECONDS",
        help="time for requests in progress to complete after SIGTERM",
    )
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
            # Where there is no uvloop, asyncio accepts up to this many connections before the first of them is
            # counted, so the backlog must not exceed the number of reserved descriptors.
            backlog=max(16, connections // 4),
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=given.grace,
        )
        config.load()
    except SettingsError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    Server(config).run()
    return 0


class Server(uvicorn.Server):
    """uvicorn's server, which wakes up once a second and at a signal, and not ten times a second."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):  # the count 0 updates the Date header each time
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)


def _require_public_url(host: str) -> None:
    """Raise SettingsError if other machines can reach the API and no public URL is set.

    Links would then begin with the address at which a request arrived, which callers may not be able to reach.
    """
    if not is_loopback(host) and Settings.from_environment(os.environ).public_url is None:
        name = name_of("public_url")
        raise SettingsError(f"{name} must be set unless the API listens only on loopback, because links start with it")


def most_connections(descriptors: int) -> int:
    """Return the largest number of callers' connections for a process with this limit on descriptors.

    It is at most MOST. At least _RESERVED or half of the descriptors, whichever is less, is kept for other uses.
    """
    return min(MOST, max(descriptors - _RESERVED, descriptors // 2))


def _descriptors() -> int:
    """Raise this process's limit on open file descriptors as far as possible, and return the new limit.

    If the system sets no maximum, the limit is raised only to the number that this process can need.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, MOST + _RESERVED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
