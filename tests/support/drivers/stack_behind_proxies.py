"""A running stack in which everything it depends on is behind proxies, so that fault tests can break
it or go around.
"""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import redis
from PIL import Image, PngImagePlugin

from maskrelay.client import Client
from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Lane
from maskrelay.storage.factory import open_storage
from maskrelay.storage.protocol import Storage, has
from tests.support.builders.pictures import noise, saved
from tests.support.proxies.redis_proxy import RedisProxy, redis_proxy
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.proxies.tcp_proxy import TcpProxy, tcp_proxy
from tests.support.servers.receivers import Receiver, receiver, status
from tests.support.servers.s3_servers import running_s3
from tests.support.servers.simulators import RunningSimulator, eventually, running_simulator
from tests.support.servers.stacks import RunningStack, running_stack
from tests.support.servers.valkeys import RunningValkey, running_valkey

PROMPT = "tumor in abdomen CT"
PROCESSES = {"api", "segment", "assemble", "control", "deliver"}
TENANTS = ("north", "south", "west")
#: The folder with the repair of sleeping under faketime.
SLEEPING = Path(__file__).parents[2] / "faults" / "clocks"
#: How long a fault test waits for what must happen. Set it lower if this is expected not to happen.
PATIENCE_S = float(os.environ.get("FAULTS_PATIENCE_S", "240"))
#: The comparison of storage with the ledger is frequent here, so it finds within seconds what an API left half done.
SETTINGS = {
    "reconcile_period_s": 4,
    "endpoint_max_bytes_per_s": 1e9,
    "callback_timeout_s": 2,
    "delivery_lease_s": 4,
}


@dataclass(frozen=True)
class Sent:
    """A job as it was submitted: the frames of each of its items. All have the same size, except plain images."""

    id: str
    tenant: str
    frames: tuple[int, ...]
    plain: bool = True

    def size(self, item: int) -> tuple[int, int]:
        """Return the (height, width) of the item's source."""
        return (30, 40 + item) if self.plain else (30, 40)


@dataclass
class Scene:
    """A running stack. `simulator`, `storage` and `valkey` are reached without the proxies in front of them,
    the API at `url`.
    """

    stack: RunningStack
    folder: Path
    simulator: RunningSimulator
    valkey: RunningValkey
    storage: Storage
    told: Receiver
    redis: RedisProxy
    endpoint: TcpProxy
    s3: FaultyProxy | None
    url: str
    sent: list[Sent] = field(default_factory=list)
    before: set[str] = field(default_factory=set)

    @property
    def ledger(self) -> "redis.Redis":
        return self.valkey.client

    @contextmanager
    def client(self, tenant: str = TENANTS[0]) -> Iterator[Client]:
        with Client(self.url, key_of(tenant), timedelta(seconds=30)) as client:
            yield client

    def submit(
        self, count: int, *, tenant: str = TENANTS[0], lane: Lane | None = None, key: str | None = None, **about: Any
    ) -> Sent:
        """Submit this many images as one job, and remember it for the check. `key` is its idempotency key."""
        first, hostile = about.pop("first", 1000 * len(self.sent)), about.pop("hostile", None)
        files = pictures(self.folder / "in", count, first=first, hostile=hostile)
        return self.submit_files(files, [1] * count, tenant=tenant, lane=lane, idempotency_key=key, **about)

    def submit_files(
        self, files: Sequence[Path], frames: Sequence[int], *, tenant: str = TENANTS[0], **about: Any
    ) -> Sent:
        given = {"outputs": ["mask"], "callback": self.told.url(), **about}
        with self.client(tenant) as client:
            job = client.submit(files, [PROMPT], **given)
        sent = Sent(job.id, tenant, tuple(frames), plain=all(count == 1 for count in frames))
        self.sent.append(sent)
        return sent

    def submit_prompts(self, prompts: Sequence[str], *, tenant: str = TENANTS[0]) -> Sent:
        """Submit one job with an image for each prompt."""
        url, headers = self.url, {"authorization": f"Bearer {key_of(tenant)}"}
        files = pictures(self.folder / "in", len(prompts), first=1000 * len(self.sent))
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            parts = [("file", (path.name, path.read_bytes())) for path in files]
            uploads = client.post("/v1/uploads", files=parts).raise_for_status().json()["uploads"]
            named = zip(uploads, prompts, strict=True)
            items = [{"upload": upload["id"], "prompts": [prompt]} for upload, prompt in named]
            options = {"outputs": ["mask"], "callback": {"url": self.told.url()}}
            job = client.post("/v1/jobs", json={"items": items, "options": options}).raise_for_status().json()
        sent = Sent(job["id"], tenant, (1,) * len(prompts))
        self.sent.append(sent)
        return sent

    def settled(self, job: Sent) -> int:
        with self.client(job.tenant) as client:
            frames = client.job(job.id).frames
        return frames.succeeded + frames.failed

    def under_way(self, job: Sent, count: int = 1) -> None:
        """Wait until this many frames have their outcome."""
        assert eventually(lambda: self.settled(job) >= count, within_s=60), "nothing is settled"

    def await_scores(self, count: int) -> None:
        """Wait until the model works on this many requests."""
        assert eventually(lambda: self.simulator.counters()["in_flight"] >= count, within_s=60)

    def kill(self, name: str) -> None:
        self.stack.kill(name)

    def start(self, name: str) -> None:
        self.stack.start(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process in the group of this name."""
        os.killpg(self.stack.processes[name], number)

    @contextmanager
    def start_elsewhere_in_time(self, name: str, offset: str) -> Iterator[None]:
        """Start the process again with its wall clock moved, for example by `+3600s`. Monotonic clocks stay right."""
        supervisor = self.stack.stack.supervisor
        child = supervisor._children[name]
        faked = ("faketime", "--exclude-monotonic", "-f", offset, "env", f"PYTHONPATH={SLEEPING}", *child.command)
        for here in (replace(child, command=faked, forked=False), child):
            self.kill(name)
            supervisor._children[name] = here
            self.start(name)
            if here is not child:
                yield

    def accepted(self) -> set[str]:
        """Return every job that was accepted according to storage, except those from before `begin`."""
        found = self.storage.list(keys.JOBS)
        return {key.split("/")[1] for key in found if key.endswith("/job.json")} - self.before

    def listed(self) -> set[str]:
        """Return every job that any tenant can see, except those from before `begin`."""
        found: set[str] = set()
        for tenant in TENANTS:
            with self.client(tenant) as client:
                found |= {job.id for job in client.jobs()}
        return found - self.before

    def scored(self) -> int:
        """Return how many of the test's frames the model has received since `begin`."""
        return int(self.simulator.counters()["prompts"].get(PROMPT, 0))

    def stop(self, name: str) -> None:
        """Send SIGTERM to the process. Return when it has ended by itself."""
        stopped = self.stack.stack.supervisor._running[name]
        os.kill(stopped.pid, signal.SIGTERM)
        assert eventually(lambda: stopped.ended() is not None, within_s=60)
        self.kill(name)

    def is_over(self, job: Sent) -> bool:
        return has(self.storage, keys.result(job.id))

    def begin(self) -> None:
        """Repair everything, and start from here: the next check is about what is submitted from now on."""
        self.mend()
        self.simulator.set(reset=True)
        self.before |= self.accepted()
        self.sent.clear()
        self.told.received.clear()

    def mend(self) -> None:
        """Repair everything that a test may have broken."""
        for proxy in (self.redis, self.endpoint):
            proxy.mend()
        if self.s3 is not None:
            self.s3.mend()
        for name in PROCESSES - self.stack.processes.keys():
            self.start(name)
        self.simulator.set(fail=None, service_time=0)


def key_of(tenant: str) -> str:
    return f"mr_{tenant}"


def pictures(folder: Path, count: int, *, first: int = 0, hostile: str | None = None) -> list[Path]:
    """Return PNG files that all differ, in sizes from 40×30. The middle one contains the marker `hostile`."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(count):
        info = PngImagePlugin.PngInfo()
        if hostile and number == count // 2:
            info.add_text("Comment", hostile)
        image = Image.fromarray(noise(40 + number, 30, seed=first + number))
        paths.append(folder / f"{first + number:06d}.png")
        paths[-1].write_bytes(saved(image, "PNG", pnginfo=info))
    return paths


@contextmanager
def scene(folder: Path, *, s3: bool = False, bearing: int = 2, **settings: Any) -> Iterator[Scene]:
    """Start the whole stack. Objects are files, or are in an S3 server. Three tenants have keys.

    `bearing` is the number of scores that the endpoint accepts at the same time.
    """
    keys_file = folder / "keys.json"
    scopes = ["submit", "read", "admin"]
    hashed = {tenant: hashlib.sha256(key_of(tenant).encode()).hexdigest() for tenant in TENANTS}
    keys_file.write_text(
        json.dumps([{"tenant": name, "sha256": sha, "scopes": scopes} for name, sha in hashed.items()])
    )
    with ExitStack() as held:
        about = {"max_concurrent": bearing, "request_timeout": 4.5, "canned": True}
        simulator = held.enter_context(running_simulator(**about))
        endpoint = held.enter_context(tcp_proxy(port_of(simulator.url)))
        (folder / "valkey").mkdir()
        valkey = held.enter_context(running_valkey(persist=True, data_dir=folder / "valkey"))
        proxy = held.enter_context(redis_proxy(valkey.port))
        told = held.enter_context(receiver(status(204)))
        store, faulty, where = held.enter_context(_store(folder, s3=s3))
        given = {
            "keys_file": keys_file,
            "redis_url": f"redis://127.0.0.1:{proxy.port}/0",
            "endpoint_url": f"http://127.0.0.1:{endpoint.port}/score",
            "endpoint_key": simulator.key,
            **where,
            **SETTINGS,
            **settings,
        }
        stack = held.enter_context(running_stack(folder / "data", **given))
        yield Scene(stack, folder, simulator, valkey, store, told, proxy, endpoint, faulty, stack.url)


@contextmanager
def _store(folder: Path, *, s3: bool) -> Iterator[tuple[Storage, FaultyProxy | None, dict[str, str]]]:
    """Yield the store itself, the proxy in front of it, and the settings that lead through the proxy."""
    if not s3:
        place = folder / "store"
        place.mkdir()
        yield open_storage(place.as_uri(), None), None, {"storage_url": place.as_uri()}
        return
    with running_s3() as running, faulty_proxy(running.endpoint_url) as faulty:
        where = {"storage_url": running.storage_url, "s3_endpoint_url": faulty.url}
        yield open_storage(running.storage_url, running.endpoint_url), faulty, where


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


@contextmanager
def whenever(act, every_s: float = 0.02) -> Iterator[None]:
    """Call `act` repeatedly until the block ends."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(every_s):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def after(seconds: float) -> bool:
    """Wait for this long. Use it only if the passing of time is itself the fault."""
    ends = time.monotonic() + seconds
    return eventually(lambda: time.monotonic() > ends, within_s=seconds + 5)
