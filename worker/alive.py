"""`python -m worker.alive [--ready]`: the liveness and readiness probe of a worker.

It needs the environment of the worker. It runs every few seconds, so it imports large modules only if
the heartbeat is missing.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

#: The heartbeat counts as missing if the last one was made more than this many seconds ago. A worker makes one every
#: five seconds.
STILL = 30.0


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Return 0 if the worker is alive, otherwise 1.

    A worker is alive if its heartbeat is recent. It also counts as alive if Redis does not respond, because a restart
    of the worker would not repair Redis. With `--ready`, only the heartbeat matters.
    """
    if _beats(Path(environment["MASKRELAY_HEARTBEAT_FILE"])):
        return 0
    if arguments == ["--ready"]:
        return 1
    return int(_redis_answers(environment))


def _beats(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < STILL
    except FileNotFoundError:
        return False


def _redis_answers(environment: Mapping[str, str]) -> bool:
    import redis  # noqa: PLC0415 - only needed if the heartbeat has stopped

    from maskrelay.ledger.redis_connection import connect  # noqa: PLC0415
    from maskrelay.settings import Settings  # noqa: PLC0415

    url = Settings.from_environment(environment).redis_url.get_secret_value()
    with connect(url, socket_timeout=3, socket_connect_timeout=3) as asked:
        try:
            return bool(asked.ping())
        except redis.RedisError:
            return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
