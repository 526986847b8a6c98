"""The ways that `bench.resume` kills and starts again: the service, and the commands of `bench.rivals`."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from bench.rivals.environment import python_of_rivals
from maskrelay.stack.loopback import free_port, says_ok
from tests.support.servers.simulators import eventually

ROOT = Path(__file__).parents[1]
TIMEOUT_S, RETRIES, IN_FLIGHT = 20, 10, 16
#: The variable by which all processes of a way are found, whoever started them.
_MARK = "BENCH_RESUME_WAY"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: the images by their keys in the bucket `lake`, and where the servers are."""

    folder: Path
    keys: Sequence[str]
    s3: str
    endpoint: str
    key: str
    prompt: str
    batch: int

    @property
    def urls(self) -> Mapping[str, str]:
        """Return the URL of each image by its name."""
        return {Path(key).name: f"s3://lake/{key}" for key in self.keys}


class Way(ABC):
    """A way to segment all images. It can be killed at any time, and started again."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.work.folder.mkdir(parents=True)
        self._mark = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Type the command."""

    @abstractmethod
    def rows(self) -> Counter[str]:
        """Return the number of rows in the result by the name of the image."""

    def ended(self) -> bool | None:
        """Return whether the command has ended well. None if it has not ended."""
        assert self._process is not None
        code = self._process.poll()
        return None if code is None else code == 0

    def kill(self) -> None:
        """Send SIGKILL to every process of the way, until there is none."""
        while found := list(self._processes()):
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(found, 5)
        if self._process is not None:
            self._process.wait()

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.work.folder / "output").open("ab") as written:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment, _MARK: self._mark},
                stdout=written,
                stderr=written,
            )

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield every process that has the mark in its environment, and those that it has started."""
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    yield from (process, *process.children(recursive=True))
            except psutil.Error:
                continue


class Maskrelay(Way):
    """The whole service, as `make up` starts it, and one run with an idempotency key."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._port, self._job = free_port(), ""
        credential = {
            "name": "lake",
            "kind": "s3",
            "reads": {"local": ["s3://lake/"]},
            "endpoint_url": work.s3,
            "region": "us-east-1",
            "access_key_id": "test",
            "secret": "test",
        }
        (work.folder / "credentials.json").write_text(json.dumps([credential]))
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}", headers={"authorization": "Bearer bench"}, trust_env=False
        )

    def start(self) -> None:
        work = self.work
        settings = {
            "PORT": str(self._port),
            "DATA": str(work.folder / "data"),
            "MASKRELAY_API_KEY": "bench",
            "MASKRELAY_CREDENTIALS_FILE": str(work.folder / "credentials.json"),
            "MASKRELAY_ENDPOINT_URL": work.endpoint,
            "MASKRELAY_ENDPOINT_KEY": work.key,
            "MASKRELAY_ENDPOINT_MAX_IN_FLIGHT": str(IN_FLIGHT),
            "MASKRELAY_ENDPOINT_MAX_BYTES_PER_S": "1e9",  # the endpoint has no limit, and the others know none
            "MASKRELAY_ENDPOINT_MODEL_VERSION": "1",
            "MASKRELAY_SCORE_TIMEOUT_S": str(TIMEOUT_S),
            "MASKRELAY_SLOT_LEASE_S": str(TIMEOUT_S + 5),
        }
        self.run([sys.executable, "-m", "maskrelay.stack", "up"], settings)
        if not eventually(lambda: says_ok(f"{self._http.base_url}/readyz"), within_s=120):
            raise SystemExit(f"the service does not start: {work.folder / 'output'}")
        head = {"prompts": [work.prompt], "options": {"outputs": ["table"]}}
        items = [{"source": url, "custom_id": name} for name, url in work.urls.items()]
        body = "".join(f"{json.dumps(line)}\n" for line in [head, *items])
        headers = {"content-type": "application/x-ndjson", "idempotency-key": "bench"}
        self._job = (
            self._http.post("/v1/jobs", content=body, headers=headers, timeout=120).raise_for_status().json()["id"]
        )

    def ended(self) -> bool | None:
        state = self._http.get(f"/v1/jobs/{self._job}", timeout=60).raise_for_status().json()["state"]
        return None if state in {"accepted", "running", "finishing"} else state in {"succeeded", "partial"}

    def rows(self) -> Counter[str]:
        store = self.work.folder / "data" / "storage"
        eventually((store / "jobs" / self._job / "tabulated.json").exists, within_s=120)
        masks = DeltaTable(str(store / "tables" / "local" / "masks")).to_pyarrow_table(columns=["custom_id"])
        return Counter(masks["custom_id"].to_pylist())


class Rival(Way):
    """A program of `bench.rivals`, in their environment."""

    module: str

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._python = python_of_rivals()
        self.out, self._manifest = work.folder / "out", work.folder / "manifest"
        self._manifest.mkdir()
        ids, urls = list(work.urls), list(work.urls.values())
        for first in range(0, len(ids), work.batch):
            part = slice(first, first + work.batch)
            table = pa.table({"id": ids[part], "url": urls[part]})
            pq.write_table(table, self._manifest / f"{first:06}.parquet")

    def start(self) -> None:
        work = self.work
        setup = {
            "manifest": str(self._manifest),
            "out": str(self.out),
            "checkpoints": str(work.folder / "checkpoints"),
            "s3": work.s3,
            "endpoint": work.endpoint,
            "key": work.key,
            "prompt": work.prompt,
            "batch": work.batch,
            "in_flight": IN_FLIGHT,
            "timeout_s": TIMEOUT_S,
            "retries": RETRIES,
        }
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_ANALYTICS_ENABLED": "0"}
        self.run([str(self._python), "-m", f"bench.rivals.{self.module}", json.dumps(setup)], quiet)


class RayData(Rival):
    module = "ray_data"

    def rows(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for path in self.out.rglob("*.parquet"):
            try:
                found.update(pq.read_table(path, columns=["id"])["id"].to_pylist())
            except pa.ArrowInvalid:
                print(f"{path.name} cannot be read")
        return found


class Daft(Rival):
    module = "daft_frames"

    def rows(self) -> Counter[str]:
        if not (self.out / "_delta_log").exists():
            return Counter()
        return Counter(DeltaTable(str(self.out)).to_pyarrow_table(columns=["id"])["id"].to_pylist())


WAYS: Mapping[str, type[Way]] = {"maskrelay": Maskrelay, "Ray Data": RayData, "Daft": Daft}
