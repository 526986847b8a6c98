"""Real processes at their start and at their end: what they say of Redis, and whom they keep waiting."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from maskrelay.stack.loopback import free_port, says_ok
from tests.support.drivers.api_jobs import accepted
from tests.support.servers.apis import KEYS, SERVER_KEY, write_keys
from tests.support.servers.simulators import eventually
from tests.support.servers.valkeys import RunningValkey, running_valkey

ROOT = Path(__file__).parent.parent.parent
FORGETS = ("redis persistence: the append-only file is off", "redis eviction: the policy is allkeys-lru")


@contextmanager
def process(folder: Path, redis_url: str, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """`python -m` of these words with the settings of `folder`, and its log; killed with all it started."""
    (folder / "store").mkdir(exist_ok=True)
    write_keys(folder / "keys.json", KEYS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": redis_url,
        "MASKRELAY_STORAGE_URL": (folder / "store").as_uri(),
        "MASKRELAY_SERVER_KEY": SERVER_KEY,
        "MASKRELAY_KEYS_FILE": str(folder / "keys.json"),
    }
    log = folder / f"{arguments[0]}.log"
    with log.open("wb") as written:
        command = [sys.executable, "-m", *arguments]
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=written, start_new_session=True)
    try:
        yield child, log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextmanager
def api(folder: Path, redis_url: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path, str]]:
    """The API as the image starts it, on a port of its own: process, log and address."""
    port = free_port()
    command = ["uvicorn", "api.app:create", "--factory", "--port", str(port), "--timeout-graceful-shutdown", "5"]
    with process(folder, redis_url, *command) as (child, log):
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: says_ok(f"{url}/livez"), within_s=60), log.read_text()
        yield child, log, url


def warned(log: Path) -> list[int]:
    """How often each way of forgetting was warned of."""
    lines = [line for line in log.read_text().splitlines() if " WARNING " in line]
    return [sum(words in line for line in lines) for words in FORGETS]


def test_api_and_worker_start_without_redis_and_say_once_it_is_there_that_it_forgets(tmp_path: Path) -> None:
    forgetful = RunningValkey(tmp_path, persist=False, options=("--maxmemory-policy", "allkeys-lru"))
    try:
        with (
            api(tmp_path, forgetful.url) as (serving, of_api, _url),
            process(tmp_path, forgetful.url, "worker", "deliver") as (working, of_worker),
        ):
            assert warned(of_api) == [0, 0]
            forgetful.start()
            assert eventually(lambda: warned(of_api) == warned(of_worker) == [1, 1], within_s=60)
            assert (serving.poll(), working.poll()) == (None, None)
    finally:
        forgetful.kill()
        forgetful.client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_api_that_is_told_to_end_answers_who_waits_for_a_job_with_the_job_as_it_is(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_valkey() as valkey, api(tmp_path, valkey.url) as (serving, log, url):
        headers = {"authorization": "Bearer north"}
        answers: list[httpx.Response] = []
        with httpx.Client(base_url=url, headers=headers, timeout=90, trust_env=False) as caller:
            job = accepted(caller, b"pixels")

            def wait() -> None:
                answers.append(caller.get(f"/v1/jobs/{job}", headers={"prefer": "wait=60"}))

            waiting = threading.Thread(target=wait)
            waiting.start()
            assert eventually(lambda: valkey.client.pubsub_numsub("mr:bell:ended")[0][1] == 1)
            serving.send_signal(number)
            waiting.join()
            serving.wait(60)
        assert [(one.status_code, one.json()["state"]) for one in answers] == [(200, "accepted")], log.read_text()
