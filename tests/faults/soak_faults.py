"""What a soak breaks: each by its name, for some seconds; afterwards it is whole again."""

import signal
import time
from collections.abc import Callable
from typing import Any

from tests.support.drivers.stack_behind_proxies import Scene
from tests.support.servers.receivers import status

Mischief = Callable[[Scene, float], None]


def _killed(name: str) -> Mischief:
    def act(running: Scene, seconds: float) -> None:
        running.kill(name)
        time.sleep(seconds / 3)
        running.start(name)

    return act


def _paused(name: str) -> Mischief:
    """Longer than a lease, now and then."""

    def act(running: Scene, seconds: float) -> None:
        running.send(name, signal.SIGSTOP)
        time.sleep(seconds * 1.5)
        running.send(name, signal.SIGCONT)

    return act


def _told_to_stop(running: Scene, _seconds: float) -> None:
    running.stop("segment")
    running.start("segment")


def _endpoint(**fail: Any) -> Mischief:
    def act(running: Scene, seconds: float) -> None:
        running.simulator.set(fail=fail)
        time.sleep(seconds)
        running.simulator.set(fail=None)

    return act


def _redis_restarts(running: Scene, seconds: float) -> None:
    running.valkey.kill()
    time.sleep(seconds)
    running.valkey.start()


def _redis_pauses(running: Scene, seconds: float) -> None:
    running.valkey.pause()
    time.sleep(seconds * 1.5)
    running.valkey.go_on()


def _redis_is_flushed(running: Scene, _seconds: float) -> None:
    running.ledger.flushall()


def _redis_is_full(running: Scene, seconds: float) -> None:
    running.ledger.config_set("maxmemory", 1)
    time.sleep(seconds)
    running.ledger.config_set("maxmemory", 0)


def _cut(proxy: str) -> Mischief:
    def act(running: Scene, seconds: float) -> None:
        getattr(running, proxy).cut()
        time.sleep(seconds)
        getattr(running, proxy).mend()

    return act


def _dead(proxy: str) -> Mischief:
    return lambda running, _seconds: getattr(running, proxy).lose()


def _slow(proxy: str) -> Mischief:
    def act(running: Scene, seconds: float) -> None:
        getattr(running, proxy).delay_s = 0.2
        time.sleep(seconds)
        getattr(running, proxy).mend()

    return act


def _store_is_away(running: Scene, seconds: float) -> None:
    place = running.folder / "store"
    away = place.rename(place.with_name("away"))
    time.sleep(seconds)
    away.rename(place)


def _container_restarts(running: Scene, _seconds: float) -> None:
    running.simulator.set(restart=True)


def _receiver_fails(running: Scene, seconds: float) -> None:
    running.told.answer = status(503)
    time.sleep(seconds)
    running.told.answer = status(204)


WORKERS = ("segment", "assemble", "control", "deliver")
MISCHIEF: dict[str, Mischief] = {
    **{f"SIGKILL to {name}": _killed(name) for name in ("api", *WORKERS)},
    **{f"SIGSTOP to {name}": _paused(name) for name in ("segment", "control")},
    "SIGTERM to segment": _told_to_stop,
    "Redis restarts": _redis_restarts,
    "SIGSTOP to Redis": _redis_pauses,
    "FLUSHALL": _redis_is_flushed,
    "Redis is full": _redis_is_full,
    "Redis is cut off": _cut("redis"),
    "ways to Redis go dead": _dead("redis"),
    "the way to Redis is slow": _slow("redis"),
    "the store is away": _store_is_away,
    "the endpoint is cut off": _cut("endpoint"),
    "ways to the endpoint go dead": _dead("endpoint"),
    "the container restarts": _container_restarts,
    "the endpoint answers 503": _endpoint(status=503),
    "the endpoint answers 429": _endpoint(status=429, kind="pending", rate=0.5),
    "the endpoint answers 408": _endpoint(status=408, rate=0.3),
    "the endpoint answers 424": _endpoint(status=424),
    "answers are cut short": _endpoint(status="truncated", rate=0.5),
    "answers are reset": _endpoint(status="reset", rate=0.5),
    "the receiver answers 503": _receiver_fails,
}
