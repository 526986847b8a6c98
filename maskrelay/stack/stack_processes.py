"""The processes of the stack and their environment.

If the given environment names a Redis server or a scoring endpoint, the stack uses it and does not start its own.
"""

import fcntl
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from maskrelay.endpoints import Endpoint
from maskrelay.errors import SettingsError, StackError
from maskrelay.settings import Settings
from maskrelay.stack.child_process import ChildProcess
from maskrelay.stack.local_secrets import kept_secret, write_keys
from maskrelay.stack.loopback import HOST, free_port, refuse_taken, says_ok
from maskrelay.stack.preflight import check
from maskrelay.stack.supervisor import Stage
from maskrelay.stack.valkey import embedded_valkey

#: The durations for an endpoint on the same machine. They are short, so that work resumes seconds after a restart.
SHORT_CLOCKS = {
    "MASKRELAY_SCORE_TIMEOUT_S": "20",
    "MASKRELAY_SLOT_LEASE_S": "25",
    "MASKRELAY_CLAIM_LEASE_S": "15",
    "MASKRELAY_STEP_LEASE_S": "15",
    "MASKRELAY_RENEWAL_PERIOD_S": "4",
    "MASKRELAY_SWEEP_PERIOD_S": "2",
    "MASKRELAY_TASK_BUDGET_S": "15",
    "MASKRELAY_SOFT_SHUTDOWN_S": "40",
    "MASKRELAY_TERMINATION_GRACE_S": "50",
}
#: The modules that the fork server imports. Together with the modules that they import, they are most of what the API,
#: the workers of each role and the simulator need.
IMPORTED_ONCE = (
    "worker.process.celery_app",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "worker.process.segment_child",
    "worker.process.deliver_child",
    "worker.plan.plan_step",
    "worker.finish.finish_step",
    "worker.assemble.assemble_step",
    "maskrelay.scoring.credentials",
    "api.app",
    "api.http.connections",
    "uvicorn.loops.uvloop",
)


@dataclass(frozen=True, slots=True)
class StackLayout:
    """The stack as it will run.

    `valkey` and `simulator` are the addresses of embedded parts. An address is None if an external server is used
    instead.
    """

    stages: tuple[Stage, ...]
    environment: Mapping[str, str]
    url: str
    #: The API key for callers, or None if MASKRELAY_KEYS_FILE names the keys.
    api_key: str | None
    valkey: str | None
    simulator: str | None
    #: The endpoints that the workers will use.
    endpoints: tuple[Endpoint, ...]
    settings: Settings


def lay_out(given: Mapping[str, str], data: Path, port: int) -> StackLayout:
    """Decide what runs in the environment `given`, and create secrets and folders under `data`.

    Raises SettingsError for an invalid setting, and StackError if `port` is in use.
    """
    refuse_taken(port)
    environment = {**given, "PYTHONUNBUFFERED": "1"}
    _speak_directly(environment)
    api_key = _keys(environment, data)
    first: list[Stage] = []
    embedded_valkey_wanted = not _is_given(given, "MASKRELAY_REDIS_URL")
    if embedded_valkey_wanted:
        valkey, environment["MASKRELAY_REDIS_URL"] = embedded_valkey(data / "valkey", free_port())
        first.append([valkey])
    if not given.get("MASKRELAY_STORAGE_URL"):
        environment["MASKRELAY_STORAGE_URL"] = (data / "storage").as_uri()
        (data / "storage").mkdir(exist_ok=True)
    embedded_endpoint = not (given.get("MASKRELAY_ENDPOINT_URL") or given.get("MASKRELAY_ENDPOINTS_FILE"))
    if embedded_endpoint:
        simulator = _simulator(_with_clocks(environment, SHORT_CLOCKS), environment, data)
        first.append([simulator])
    settings = Settings.from_environment(environment)
    endpoints = check(settings)
    url = f"http://{HOST}:{port}"
    return StackLayout(
        stages=(*first, [_api(url, port)], _workers(settings)),
        environment=environment,
        url=url,
        api_key=api_key,
        valkey=environment["MASKRELAY_REDIS_URL"] if embedded_valkey_wanted else None,
        simulator=environment["MASKRELAY_ENDPOINT_URL"] if embedded_endpoint else None,
        endpoints=endpoints,
        settings=settings,
    )


def hold(data: Path) -> int:
    """Lock the data folder, make it private, and return the descriptor of the lock.

    The lock lasts until every process has closed the descriptor. Raises StackError if another stack uses the folder, or
    if the folder belongs to another user.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(data.stat().st_mode) & 0o077:  # it contains keys and images, which other users could read
            data.chmod(0o700)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(f"{data} cannot be used as the data folder: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StackError(f"another stack is running in {data}; choose another folder with DATA=…") from None
    return descriptor


def _keys(environment: dict[str, str], data: Path) -> str | None:
    """Set the server key and the keys file. Return the caller's API key, or None if a keys file was given."""
    if not _is_given(environment, "MASKRELAY_SERVER_KEY"):
        environment["MASKRELAY_SERVER_KEY"] = kept_secret(data / "server-key")
    if environment.get("MASKRELAY_KEYS_FILE"):
        return None
    api_key = environment.get("MASKRELAY_API_KEY") or kept_secret(data / "api-key", "mr_")
    write_keys(data / "keys.json", api_key)
    environment["MASKRELAY_KEYS_FILE"] = str(data / "keys.json")
    return api_key


def _is_given(environment: Mapping[str, str], secret: str) -> bool:
    """Return whether the environment contains this secret, or names a file with it."""
    return bool(environment.get(secret) or environment.get(f"{secret}_FILE"))


def _with_clocks(environment: dict[str, str], clocks: Mapping[str, str]) -> Settings:
    """Return the settings with `clocks` as defaults.

    The defaults are also added to `environment`. If a duration in `environment` contradicts them, no default is used.
    """
    shorter = {**clocks, **{name: value for name, value in environment.items() if value}}
    try:
        settings = Settings.from_environment(shorter)
    except SettingsError:
        return Settings.from_environment(environment)
    environment.update({name: shorter[name] for name in clocks})
    return settings


def _speak_directly(environment: dict[str, str]) -> None:
    """Exclude the stack's own loopback addresses from a proxy of the environment."""
    for name in ("no_proxy", "NO_PROXY"):
        given = environment.get(name)
        environment[name] = f"{given},{HOST},localhost" if given else f"{HOST},localhost"


def _simulator(settings: Settings, environment: dict[str, str], data: Path) -> ChildProcess:
    port, key = free_port(), kept_secret(data / "endpoint-key")
    origin = f"http://{HOST}:{port}"
    environment["MASKRELAY_ENDPOINT_URL"], environment["MASKRELAY_ENDPOINT_KEY"] = f"{origin}/score", key
    timeout = settings.score_timeout.total_seconds() * 3 / 4
    # The key is joined with "=", because a random key may begin with "-" and would be parsed as another option.
    command = ["simulator", "--port", str(port), f"--key={key}"]
    command += ["--max-concurrent", str(settings.endpoint_max_in_flight)]
    command += ["--request-timeout", f"{timeout:g}"]
    return ChildProcess("simulator", _python(*command), lambda: says_ok(f"{origin}/_simulator"), forked=True)


def _api(url: str, port: int) -> ChildProcess:
    command = _python("api", "--host", HOST, "--port", str(port), "--grace", "5")
    return ChildProcess("api", command, lambda: says_ok(f"{url}/livez") and says_ok(f"{url}/readyz"), forked=True)


def _workers(settings: Settings) -> list[ChildProcess]:
    """Return the workers. Startup does not wait for them, because submitted jobs can wait in the ledger."""
    grace: timedelta = settings.termination_grace
    roles = ("segment", "assemble", "control", "deliver")
    return [ChildProcess(name, _python("worker", name), grace=grace, forked=True) for name in roles]


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)
