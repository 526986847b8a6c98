"""The stack as people start it: `python -m maskrelay.stack`, ended by signals, killed, and started again."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import psutil

from maskrelay.client import Client
from maskrelay.stack.loopback import free_port
from tests.support.builders.pictures import gradient, saved
from tests.support.servers.apis import a_valkey
from tests.support.servers.simulators import eventually, running_simulator
from tests.support.servers.stacks import RunningStack, running_stack

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "optic disc in retinal fundus"
NAMES = {"valkey", "simulator", "api", "segment", "assemble", "control", "deliver"}
NO_KEY = {"MASKRELAY_ENDPOINT_URL": "https://endpoint.example/score"}
PICTURE = saved(gradient(64, 48), "PNG")


class Up:
    """A running `up`, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def await_said(self, words: str, within_s: float = 180) -> None:
        assert eventually(lambda: words in self.said or self.process.poll() is not None, within_s), self.said
        assert words in self.said, self.said

    def tree(self) -> list[psutil.Process]:
        """The supervisor and all that it started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def child(self, *words: str) -> psutil.Process:
        """The process that the supervisor has started, by itself or by its fork server, with these words."""
        found: list[psutil.Process] = []

        def is_found() -> bool:
            started = [one for one in self.tree() if os.getpgid(one.pid) == one.pid]
            found.extend(one for one in started if set(words) <= set(one.cmdline()))
            return bool(found)

        assert eventually(is_found, 60), words  # a forked process shows its own words a moment after its start
        return found[0]

    def ended(self, within_s: float = 180) -> int:
        code = self.process.wait(within_s)
        self._reading.join(10)
        return code


@contextmanager
def up(data: Path, port: int, **settings: str) -> Iterator[Up]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")}
    given |= {"PORT": str(port), "DATA": str(data), **settings}
    command = [sys.executable, "-m", "maskrelay.stack", "up"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    started = Up(process)
    try:
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        started.ended()
        assert process.stdout is not None
        process.stdout.close()


def _all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=60)[1]


def test_what_it_prints_is_enough_to_submit_a_job_and_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path / "data", port) as stack:
        stack.await_said("Press Ctrl-C to stop.")
        key = re.search(r"^ +export MASKRELAY_API_KEY=(\S+)$", stack.said, re.MULTILINE)
        assert key is not None
        assert f"  export MASKRELAY_URL=http://127.0.0.1:{port}\n" in stack.said
        picture = tmp_path / "photo.png"
        picture.write_bytes(PICTURE)
        example = re.search(r"(curl .*\\\n.*)", stack.said)
        assert example is not None
        assert '"$MASKRELAY_URL/v1/jobs"' in example[1]
        with Client(f"http://127.0.0.1:{port}", key[1]) as client:
            job = client.submit([picture], [PROMPT])
            assert client.wait(job.id, timedelta(seconds=180)).state == "succeeded"
        record = tmp_path / "data" / "stack.json"
        assert record.stat().st_mode & 0o777 == 0o600
        assert "MASKRELAY_REDIS_URL" in json.loads(record.read_text())["made"]
        processes = stack.tree()
        assert len(processes) >= 1 + len(NAMES)
        stack.process.send_signal(signal.SIGINT)
        assert stack.ended() == 0
        assert _all_gone(processes)
        assert not record.exists()


def test_a_child_that_dies_is_started_again_and_everything_ends_when_the_supervisor_dies(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path / "data", port, MASKRELAY_API_KEY="a key of my own") as stack:
        stack.await_said("Press Ctrl-C to stop.")
        dead = stack.child("worker", "segment")
        dead.kill()
        with Client(f"http://127.0.0.1:{port}", "a key of my own") as client:
            job = client.submit([PICTURE], [PROMPT])
            stack.await_said("segment ended with signal 9")
            assert client.wait(job.id, timedelta(seconds=180)).state == "succeeded"
        assert stack.child("worker", "segment").pid != dead.pid
        assert "is restarted in 0.5 s" in stack.said
        control = tmp_path / "data" / "logs" / "control.log"
        assert eventually(lambda: "worker ready" in control.read_text(), 180)
        processes = stack.tree()
        stack.process.kill()
        assert _all_gone(processes)


def test_a_stack_that_is_started_again_on_its_folder_has_its_secrets_and_goes_on_with_its_job(tmp_path: Path) -> None:
    with running_stack(tmp_path) as first:
        first.kill("segment")
        secrets = {name: (tmp_path / name).read_text() for name in ("api-key", "server-key")}
        for name in (*secrets, "keys.json", "valkey/valkey.conf"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert first.api_key == secrets["api-key"].strip()
        assert secrets["api-key"].strip() not in (tmp_path / "keys.json").read_text()
        with first.client() as client:
            job = client.submit([PICTURE] * 3, [PROMPT])
            assert eventually(lambda: client.job(job.id).planned, within_s=180)
    with running_stack(tmp_path) as second, second.client() as client:
        assert second.api_key == first.api_key
        assert (tmp_path / "server-key").read_text() == secrets["server-key"]
        ended = client.wait(job.id, timedelta(seconds=180))
        assert (ended.state, ended.counts.succeeded) == ("succeeded", 3)


def test_a_second_stack_on_the_same_folder_is_refused_and_the_first_unharmed(stack: RunningStack) -> None:
    with up(stack.data, free_port()) as second:
        assert second.ended() == 1
        assert "another stack is running in" in second.said
        assert httpx.get(f"{stack.url}/livez", timeout=10).status_code == 200


def test_a_misspelt_setting_keeps_it_from_starting_and_is_named(tmp_path: Path) -> None:
    with up(tmp_path / "data", free_port(), MASKRELAY_MAX_ITEM="3") as stack:
        assert stack.ended() == 1
        assert "MASKRELAY_MAX_ITEM is not a setting; did you mean MASKRELAY_MAX_ITEMS?" in stack.said


def test_an_endpoint_that_cannot_be_used_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    for given, named in (({"MASKRELAY_ENDPOINT_URL": "foo"}, "endpoint"), (NO_KEY, "key")):
        with up(tmp_path / "data", free_port(), **given) as stack:
            assert stack.ended() == 1
            assert "maskrelay cannot start" in stack.said
            assert named in stack.said
            assert "ready" not in stack.said
        assert not (tmp_path / "data" / "logs").exists()


def test_a_given_redis_endpoint_and_store_replace_the_embedded_ones(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with a_valkey() as redis_url, running_simulator() as simulator:
        given = {"redis_url": redis_url, "endpoint_url": simulator.url, "endpoint_key": simulator.key}
        with running_stack(tmp_path / "data", **given, storage_url=store.as_uri()) as stack, stack.client() as client:
            assert set(stack.processes) == NAMES - {"valkey", "simulator"}
            job = client.submit([PICTURE], [PROMPT], wait_s=30)
            assert client.wait(job.id, timedelta(seconds=180)).state == "succeeded"
        assert simulator.counters()["scores"] >= 1
    assert list(store.glob("jobs/*/result.json"))
    assert not (tmp_path / "data" / "storage").exists()


def test_an_interrupt_while_it_waits_for_its_start_ends_it_cleanly(tmp_path: Path) -> None:
    with up(tmp_path / "data", free_port(), MASKRELAY_REDIS_URL="redis://127.0.0.1:1/0") as stack:
        assert eventually((tmp_path / "data" / "logs" / "api.log").exists, 60)
        processes = stack.tree()
        stack.process.send_signal(signal.SIGINT)
        assert stack.ended() == 0
        assert _all_gone(processes)


def test_a_taken_port_is_named(stack: RunningStack, tmp_path: Path) -> None:
    port = int(stack.url.rsplit(":", 1)[1])
    with up(tmp_path / "second", port) as second:
        assert second.ended() == 1
        assert f"port {port} is in use" in second.said
