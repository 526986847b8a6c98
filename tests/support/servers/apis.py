"""The API as a real server: uvicorn in a thread on a free loopback port, with a real Valkey and a folder of files."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis
import uvicorn

from api.app import build
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.broker import Publisher, broker
from maskrelay.settings import Settings
from maskrelay.stack.loopback import free_port
from maskrelay.stack.valkey import server
from maskrelay.storage.factory import open_storage
from maskrelay.storage.protocol import Storage
from tests.support.builders.answers import Answers

ROOT = Path(__file__).parents[3]
SERVER_KEY = "a server key of the tests, long enough"
#: API keys by name: (tenant, scopes).
KEYS = {
    "north": ("north", ["submit", "read"]),
    "south": ("south", ["submit", "read"]),
    "reader": ("north", ["read"]),
    "writer": ("north", ["submit"]),
    "admin": ("north", ["admin"]),
}
#: Limits that are low enough for a test to exceed them.
SMALL_LIMITS = {"max_items": 30, "max_prompts": 3, "max_prompt_length": 40, "max_image_bytes": 300_000}
CLOSED_REDIS = "redis://127.0.0.1:9/0"


@contextmanager
def a_valkey() -> Iterator[str]:
    """Run a server that keeps nothing, and yield its URL."""
    port = free_port()
    command = [str(server()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url) as client:
            while child.poll() is None:
                with suppress(redis.ConnectionError):
                    client.ping()
                    break
        yield url
    finally:
        child.kill()
        child.wait()


def write_keys(path: Path, keys: dict[str, tuple[str, list[str]]]) -> None:
    entries = [
        {"tenant": tenant, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": scopes}
        for name, (tenant, scopes) in keys.items()
    ]
    path.write_text(json.dumps(entries))


@dataclass(frozen=True)
class RunningApi:
    url: str
    settings: Settings
    ledger: Ledger
    storage: Storage
    folder: Path

    def client(self, key: str = "north", **headers: str) -> httpx.Client:
        """Return a client with the key of this tenant. The caller of `client` closes it with the test."""
        headers = {"authorization": f"Bearer {key}", **headers}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def objects(self, *prefixes: str) -> list[str]:
        return [key for prefix in prefixes or ("uploads/", "live/", "jobs/") for key in self.storage.list(prefix)]

    def files(self) -> list[Path]:
        """Return every file in the folder except those of the audit log, including files that are not objects yet."""
        audit = self.folder / "audit"
        return [path for path in self.folder.rglob("*") if path.is_file() and not path.is_relative_to(audit)]


def make_settings(folder: Path, redis_url: str, **limits: Any) -> Settings:
    keys = folder.parent / "keys.json"
    if not keys.exists():
        write_keys(keys, KEYS)
    given = {"server_key": SERVER_KEY, "keys_file": str(keys), "callback_allow": ("127.0.0.1",), **limits}
    return Settings.model_validate({"redis_url": redis_url, "storage_url": folder.as_uri(), **given})


def make_ledger(settings: Settings) -> Ledger:
    url = settings.redis_url.get_secret_value()
    return open_ledger(
        url,
        Publisher(broker(url, visibility_timeout=settings.visibility_timeout)),
        claim_lease=settings.claim_lease,
        step_lease=settings.step_lease,
        delivery_lease=settings.delivery_lease,
    )


@contextmanager
def running_api(folder: Path, redis_url: str, **limits: Any) -> Iterator[RunningApi]:
    """Run the API with `folder`, which is created, and these settings.

    At the end, check its answers against its document.
    """
    folder.mkdir(exist_ok=True)
    settings = make_settings(folder, redis_url, **limits)
    ledger, storage = make_ledger(settings), open_storage(settings.storage_url, settings.s3_endpoint_url)
    answers = Answers(build(settings, ledger, storage))
    config = uvicorn.Config(answers, port=0, log_level="warning", lifespan="on")
    running = uvicorn.Server(config)
    # asyncio, unlike uvloop, recognises a TCP socket only by this number, and turns off Nagle's delay of 40 ms.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not running.started and thread.is_alive():
            time.sleep(0.005)
        yield RunningApi(f"http://127.0.0.1:{listening.getsockname()[1]}", settings, ledger, storage, folder)
    finally:
        running.should_exit = True
        thread.join()
        listening.close()
    assert answers.undocumented() == []


def api_environment(folder: Path, redis_url: str) -> dict[str, str]:
    """Return the environment of an API process whose store and keys file are in `folder`."""
    (folder / "store").mkdir()
    write_keys(folder / "keys.json", {"north": ("north", ["submit", "read"])})
    return {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": redis_url,
        "MASKRELAY_STORAGE_URL": (folder / "store").as_uri(),
        "MASKRELAY_KEYS_FILE": str(folder / "keys.json"),
        "MASKRELAY_SERVER_KEY": SERVER_KEY,
    }


@contextmanager
def api_process(folder: Path, redis_url: str, *, descriptors: int = 4096) -> Iterator[tuple[str, psutil.Process]]:
    """Run the API as in production: as a process configured by its environment, which may open this many files."""
    port = free_port()
    environment = api_environment(folder, redis_url)
    command = [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(port)]
    limited = ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(descriptors), *command]
    child = subprocess.Popen(limited, cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(trust_env=False) as client:
            while child.poll() is None:
                try:
                    client.get(f"{url}/livez")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
        yield url, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)
