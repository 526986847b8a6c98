"""Each of our services of the compose file as a real process, until its own health check is content; then one job.

The files' secrets, Redis' command line, the bucket, the commands, environments and health checks are the file's. Only
the addresses and folders are this machine's, and moto stands for the object store's image.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from runpy import run_path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from maskrelay.client import Client
from maskrelay.stack.loopback import free_port
from maskrelay.stack.valkey import server
from tests.packaging.compose import ROOT, Placed, load
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.s3_servers import running_s3
from worker.process.celery_app import ROLES

pytestmark = pytest.mark.slow_subject("compose")

SERVICES = load()["services"]
SECRETS: dict[str, tuple[str, ...]] = run_path(str(ROOT / "deploy" / "compose" / "first_secrets.py"))["HANDED_OUT"]
OURS = ["simulator", "api", *ROLES]


@dataclass(frozen=True)
class Running:
    """The stack: where things lie, which processes run, and where each writes."""

    placed: dict[str, Placed]
    processes: dict[str, "subprocess.Popen[bytes]"]
    folder: Path
    api_port: int

    def check(self, name: str) -> bool:
        """Run the service's health check once."""
        placed = self.placed[name]
        command, environment = placed.check(SERVICES[name]), clean() | placed.environment(SERVICES[name])
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0

    def await_health(self, name: str) -> None:
        ends = time.monotonic() + 90
        while not self.check(name):
            log = (self.folder / f"{name}.log").read_text()
            assert self.processes[name].poll() is None, log
            assert time.monotonic() < ends, log
            time.sleep(0.2)


def clean() -> dict[str, str]:
    """This process's environment without what a service could confuse with its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MASKRELAY_", "AWS_"))}


def once(name: str, placed: Placed) -> None:
    """Run a service that ends."""
    service = SERVICES[name]
    environment = clean() | placed.environment(service) | {"PYTHONPATH": str(ROOT)}
    subprocess.run(placed.command(service), cwd=ROOT, env=environment, check=True, timeout=60)


@contextmanager
def started(command: list[str], environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as written:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=written, stderr=written, start_new_session=True
        )
    try:
        yield child
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def places(folder: Path, s3: str) -> tuple[dict[str, str], int, int]:
    """What the services' words stand for here; Redis' port and the API's."""
    ports = {name: free_port() for name in ("redis", "simulator", "api")}
    for name in ("redis", "s3", "prometheus", "grafana", "copies", "kept", *(f"services/{one}" for one in SECRETS)):
        (folder / name).mkdir(parents=True)
    words = {
        "/first/": f"{ROOT / 'deploy' / 'compose'}/",
        "http://s3:8333": s3,
        "redis:6379": f"127.0.0.1:{ports['redis']}",
        "http://simulator:8000": f"http://127.0.0.1:{ports['simulator']}",
        "0.0.0.0": "127.0.0.1",
        "8000": str(ports["simulator"]),
        "8080": str(ports["api"]),
    }
    return words, ports["redis"], ports["api"]


def own(words: dict[str, str], folder: Path, name: str) -> Placed:
    """The words of one service, whose /tmp and /data nobody else sees."""
    private = {"/tmp": str(folder / f"{name}-tmp"), "/data": str(folder / name)}
    private["/copies"] = str(folder / "copies")
    private["/run/maskrelay"] = str(folder / "services" / name)
    (folder / f"{name}-tmp").mkdir(exist_ok=True)
    volumes = {
        f"/{one}": str(folder / one) for one in ("redis", "s3", "prometheus", "grafana", "copies", "kept", "services")
    }
    return Placed({**words, **(volumes if name == "secrets" else private)})


def point_to_redis(folder: Path, placed: Placed) -> None:
    """Put this machine's Redis into every copy of its URL."""
    for url in (folder / "services").glob("*/redis-url"):
        url.write_text(placed.put(url.read_text()))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("compose")
    with running_s3("another-bucket") as s3, ExitStack() as children:
        words, redis_port, api_port = places(folder, s3.endpoint_url)
        placed = {name: own(words, folder, name) for name in ["secrets", "bucket", "redis", *OURS]}
        once("secrets", placed["secrets"])
        point_to_redis(folder, placed["redis"])
        options = placed["redis"].command(SERVICES["redis"])[1:]
        command = [str(server()), *options, "--port", str(redis_port), "--bind", "127.0.0.1"]
        processes = {"redis": children.enter_context(started(command, clean(), folder / "redis.log"))}
        once("bucket", placed["bucket"])
        for name in OURS:
            environment = clean() | placed[name].environment(SERVICES[name])
            command = placed[name].command(SERVICES[name])
            processes[name] = children.enter_context(started(command, environment, folder / f"{name}.log"))
        yield Running(placed, processes, folder, api_port)


@pytest.mark.parametrize("name", OURS)
def test_a_service_becomes_healthy_by_its_own_check(stack: Running, name: str):
    stack.await_health(name)


def test_a_job_goes_the_whole_way_with_the_key_that_was_made(stack: Running):
    for name in OURS:
        stack.await_health(name)
    picture = stack.folder / "picture.png"
    picture.write_bytes(saved(gradient(), "PNG"))
    key = (stack.folder / "services" / "api" / "api-key").read_text().strip()
    with Client(f"http://127.0.0.1:{stack.api_port}", key, timedelta(seconds=60)) as client:
        job = client.submit([picture], ["liver in abdomen CT"])
        assert client.wait(job.id, timedelta(seconds=60)).state == "succeeded"


def test_the_health_checks_user_of_redis_may_ping_and_nothing_else(stack: Running):
    command = SERVICES["redis"]["healthcheck"]["test"]
    name, word = command[command.index("--user") + 1], command[command.index("--pass") + 1]
    with redis.Redis.from_url((stack.folder / "services" / "control" / "redis-url").read_text().strip()) as whole:
        assert whole.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        port = whole.connection_pool.connection_kwargs["port"]
    with redis.Redis("127.0.0.1", port, username=name, password=word) as asked:
        assert asked.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            asked.get("mr:turns")
    never = Retry(NoBackoff(), 0)
    with redis.Redis("127.0.0.1", port, retry=never) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()


def secret_files(stack: Running) -> list[Path]:
    return [file for folder in ("kept", "services") for file in (stack.folder / folder).rglob("*") if file.is_file()]


def test_secrets_are_made_once_and_no_one_else_may_read_them(stack: Running):
    assert {file.stat().st_mode & 0o077 for file in secret_files(stack)} == {0}
    keys = stack.folder / "services" / "api" / "keys.json"
    keys.write_text(keys.read_text().replace('"local"', '"another"'))
    before = {file: file.read_text() for file in secret_files(stack)}
    once("secrets", stack.placed["secrets"])
    point_to_redis(stack.folder, stack.placed["redis"])
    quotas = stack.folder / "services" / "control" / "keys.json"  # the copy that the operator edits is passed on
    assert {file: file.read_text() for file in secret_files(stack)} == {**before, quotas: keys.read_text()}


def test_a_service_sees_the_secrets_it_needs_and_no_others(stack: Running):
    seen = {name: {file.name for file in (stack.folder / "services" / name).iterdir()} for name in SECRETS}
    assert seen == {name: set(files) for name, files in SECRETS.items()}
    assert seen["grafana"] == {"grafana-password"}
    assert [name for name in seen if "endpoint-key" in seen[name]] == ["segment"]
    assert [name for name in seen if "keys.json" in seen[name]] == ["api", "control"]


def test_a_secret_that_a_service_no_longer_needs_is_removed_from_its_volume(stack: Running):
    left = stack.folder / "services" / "grafana" / "server-key"
    left.write_text("from an earlier release")
    once("secrets", stack.placed["secrets"])
    point_to_redis(stack.folder, stack.placed["redis"])
    assert not left.exists()
