"""The start of a worker process: the environment is read once, Celery is configured, and its tasks are registered."""

import atexit
import gc
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.worker import state

from maskrelay.endpoints import read_endpoints
from maskrelay.errors import LedgerUnavailable, SettingsError, StorageUnavailable
from maskrelay.ledger.announced_endpoints import Endpoints
from maskrelay.ledger.broker import broker
from maskrelay.ledger.durability_check import warn_of_forgetting
from maskrelay.ledger.ownership import check_database
from maskrelay.ledger.redis_connection import connect
from maskrelay.ledger.scripts import Scripts, texts
from maskrelay.network.certificates import client_context
from maskrelay.network.proxies import read_proxy
from maskrelay.settings import Settings, name_of
from maskrelay.storage.factory import check_usable, open_configured
from maskrelay.storage.store_identity import store_id
from maskrelay.telemetry import logs
from maskrelay.threads import EXIT_CODE, end_process_with_threads
from worker.context.local_copies import remove_leftovers
from worker.process import consumer_watch, sweep_supervisor
from worker.process.consumer_watch import ConsumerWatch
from worker.process.heartbeat import beating, repeating
from worker.process.sweep_supervisor import SweepSupervisor
from worker.process.tasks import Role, register

log = logging.getLogger(__name__)
#: The seconds between two announcements of the endpoints.
ANNOUNCED_EVERY = 10.0
#: The seconds between two searches for temporary files of processes that were killed.
LEFTOVERS_EVERY = 15.0
ROLES: tuple[Role, ...] = ("segment", "assemble", "control", "deliver")
QUEUES: dict[Role, str] = {
    "segment": "segment",
    "assemble": "assemble",
    "control": "plan,finish,tabulate",
    "deliver": "deliver",
}


def run(role: Role, environment: Mapping[str, str]) -> int:
    """Run a worker of this role until SIGTERM. Then claim no further work, and finish or release the work in progress.

    Return the exit code, which is 0 unless the sweep of a control worker could not be kept running.
    """
    settings = Settings.from_environment(environment)
    client_context()  # raises SettingsError now if a certificate file cannot be used
    if settings.callback_proxy:
        read_proxy(settings.callback_proxy.get_secret_value(), name_of("callback_proxy"))
    if role == "segment":  # checked now, because otherwise every child process would fail
        _check_endpoints(settings)
    logs.configure(settings.log_level, settings.log_format)
    signals.setup_logging.connect(_logs_are_ours, weak=False)
    end_process_with_threads()
    await_own_database(settings)
    sweep = SweepSupervisor(sweep_supervisor.command()) if role == "control" else None
    app = _app(role, settings, sweep)
    # not started through Celery's command line, which takes long to import
    app.Worker(quiet=True, **_options(role, settings)).start()
    return EXIT_CODE if sweep is not None and sweep.given_up else 0


def _check_endpoints(settings: Settings) -> None:
    from maskrelay.scoring.credentials import check_endpoint  # noqa: PLC0415 - only a segment worker sends requests

    for endpoint in read_endpoints(settings):
        check_endpoint(endpoint)


def await_own_database(settings: Settings) -> None:
    """Wait until Redis and the store respond.

    Raises SettingsError if the store is not usable, or if Redis belongs to another store. A worker whose store refuses
    writes would take work and lose the results. A worker with the Redis of another deployment would take that
    deployment's wake-ups.
    """
    storage, waiting = open_configured(settings, before_fork=True), False
    while True:
        try:
            check_usable(storage)
            with _briefly_connected(settings) as scripts:
                return check_database(scripts, store_id(storage))
        except (LedgerUnavailable, StorageUnavailable) as error:
            if not waiting:
                log.warning("waiting for Redis and the store: %s", error.code)
            waiting = True
            time.sleep(1)


def _shared_event() -> Event:
    """Return an event that is created before the fork and shared with every child process.

    Raises SettingsError if shared memory cannot be used.
    """
    try:
        return multiprocessing.get_context("fork").Event()
    except OSError as error:
        detail = f"shared memory cannot be used ({error.strerror}): a worker needs a writable /dev/shm"
        raise SettingsError(detail) from None


def _logs_are_ours(**_: Any) -> None:
    """Do nothing. This receiver only exists because Celery configures logging itself if the signal has no receiver."""


def _app(role: Role, settings: Settings, sweep: SweepSupervisor | None) -> Celery:
    app = broker(
        settings.redis_url.get_secret_value(),
        visibility_timeout=settings.visibility_timeout,
    )
    stop = _shared_event()
    child = register(app, role, settings, stop.is_set)
    if sweep is not None:
        atexit.register(sweep.end)
        repeating(app, "sweeper", sweep_supervisor.PERIOD, partial(_supervise, sweep, stop.set))
    if role == "segment":
        repeating(app, "endpoints", ANNOUNCED_EVERY, partial(_announce_endpoints, settings))
    repeating(app, "leftovers", LEFTOVERS_EVERY, remove_leftovers)
    watch = ConsumerWatch(
        is_free=lambda: not stop.is_set() and len(state.reserved_requests) < _concurrency(role, settings),
        received=lambda: state.all_total_count[0],
        waiting=partial(_waiting_messages, role, settings),
    )
    repeating(app, "consumer_watch", consumer_watch.PERIOD, watch.check)
    if settings.heartbeat_file:
        beating(app, Path(settings.heartbeat_file), lambda: sweep is None or sweep.is_alive())

    def on_shutdown(**_: Any) -> None:
        stop.set()

    def on_ready(**_: Any) -> None:
        sys.stderr.write(f"worker ready: {role}\n")
        sys.stderr.flush()
        _check_redis(settings)

    def on_end(**_: Any) -> None:
        child.close()

    signals.worker_process_shutdown.connect(on_end, weak=False)  # sent only in a child process, not in a thread pool
    signals.worker_shutdown.connect(on_end, weak=False)
    signals.worker_shutting_down.connect(on_shutdown, weak=False)
    signals.worker_ready.connect(on_ready, weak=False)
    gc.collect()
    gc.freeze()  # a collection in a child process would otherwise write to all the memory that it shares
    return app


def _check_redis(settings: Settings) -> None:
    """Log a warning if Redis is configured so that it may lose data. If Redis does not respond, do nothing."""
    with suppress(LedgerUnavailable), _briefly_connected(settings) as scripts:
        warn_of_forgetting(scripts)


@contextmanager
def _briefly_connected(settings: Settings) -> Iterator[Scripts]:
    """Open a connection to Redis in the parent process, and close it again.

    The parent process must not keep a connection open, because it forks.
    """
    url = settings.redis_url.get_secret_value()
    with connect(url, socket_timeout=3, socket_connect_timeout=3) as client:
        yield Scripts(client, texts())


def _announce_endpoints(settings: Settings) -> None:
    """Announce which endpoints are in use.

    The announcement is repeated, even while there is no work, because Redis may have lost it.
    """
    with suppress(LedgerUnavailable), _briefly_connected(settings) as scripts:
        Endpoints(scripts).announce(read_endpoints(settings))


def _waiting_messages(role: Role, settings: Settings) -> int | None:
    """Return the number of messages in the queues of this role, or None if Redis does not respond."""
    with suppress(LedgerUnavailable), _briefly_connected(settings) as scripts:
        return sum(int(scripts.ask("LLEN", queue)) for queue in QUEUES[role].split(","))
    return None


def _supervise(sweep: SweepSupervisor, stop: Callable[[], None]) -> None:
    """Keep the sweep running. If it fails repeatedly, end this worker."""
    sweep.check()
    if sweep.given_up:
        stop()
        state.should_stop = EXIT_CODE


def _options(role: Role, settings: Settings) -> dict[str, Any]:
    return {
        "pool_cls": "threads" if role == "deliver" else "prefork",
        "concurrency": _concurrency(role, settings),
        "queues": QUEUES[role].split(","),
        "without_gossip": True,
        "without_mingle": True,
        "without_heartbeat": True,  # events that nobody receives
        "loglevel": settings.log_level,
    }


def _concurrency(role: Role, settings: Settings) -> int:
    """Return the number of child processes or threads in which a worker runs tasks."""
    counts: dict[Role, int] = {
        "segment": settings.segment_children,
        "assemble": settings.assemble_children,
        "control": settings.control_children,
        "deliver": settings.deliver_threads,
    }
    return counts[role]
