"""Two deployments on one Redis database would take each other's work: the second refuses to start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from maskrelay.contract.records import keys
from maskrelay.errors import SettingsError
from maskrelay.ledger.ownership import check_database
from maskrelay.stack.loopback import free_port, says_ok
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.store_identity import store_id
from tests.support.servers.apis import KEYS, write_keys
from tests.support.servers.simulators import eventually
from tests.support.servers.valkeys import RunningValkey, running_valkey

ROOT = Path(__file__).parents[3]


def store(folder: Path, name: str) -> FileStorage:
    (folder / name).mkdir(exist_ok=True)
    return FileStorage(folder / name)


def test_a_store_has_one_id_whoever_comes_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as starting:
        found = set(starting.map(lambda _: store_id(store(tmp_path, "a")), range(16)))
    assert len(found) == 1
    assert found != {store_id(store(tmp_path, "b"))}


def test_a_database_belongs_to_the_first_store_and_a_moved_one_keeps_it(valkey: RunningValkey, tmp_path: Path) -> None:
    scripts, first = valkey.ledger().scripts, store_id(store(tmp_path, "a"))
    check_database(scripts, first)
    (tmp_path / "a").rename(tmp_path / "moved")
    check_database(scripts, store_id(store(tmp_path, "moved")))
    with pytest.raises(SettingsError, match="belongs to a deployment with another object store"):
        check_database(scripts, store_id(store(tmp_path, "b")))
    valkey.client.flushall()
    check_database(scripts, first)
    assert valkey.client.get("mr:store") == first.encode()


def test_of_several_that_start_at_once_one_gets_the_database(valkey: RunningValkey) -> None:
    def starts(number: int) -> bool:
        try:
            check_database(valkey.ledger().scripts, f"store-{number}")
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(6) as starting:
        assert sum(starting.map(starts, range(6))) == 1


def test_a_damaged_id_is_named(tmp_path: Path) -> None:
    storage = store(tmp_path, "a")
    storage.put(keys.STORE_ID, b"[]")
    with pytest.raises(SettingsError, match=r"store/id\.json is damaged"):
        store_id(storage)


def test_a_node_of_a_cluster_is_refused() -> None:
    with (
        running_valkey(options=["--cluster-enabled", "yes"]) as node,
        pytest.raises(SettingsError, match="a node of a Redis cluster"),
    ):
        check_database(node.ledger().scripts, "store")


def settings_of(valkey: RunningValkey, folder: Path) -> dict[str, str]:
    """The environment of a process over this Redis and the store `b` of the folder."""
    write_keys(folder / "keys.json", KEYS)
    return {name: value for name, value in os.environ.items() if not name.startswith("MASKRELAY_")} | {
        "MASKRELAY_REDIS_URL": valkey.url,
        "MASKRELAY_STORAGE_URL": (folder / "b").as_uri(),
        "MASKRELAY_SERVER_KEY": "k" * 32,
        "MASKRELAY_KEYS_FILE": str(folder / "keys.json"),
    }


@pytest.mark.parametrize("command", [["-m", "worker", "deliver"], ["-c", "from api.app import create; create()"]])
def test_a_process_refuses_to_start_beside_another_store(
    valkey: RunningValkey, tmp_path: Path, command: list[str]
) -> None:
    check_database(valkey.ledger().scripts, store_id(store(tmp_path, "a")))
    store(tmp_path, "b")
    environment = settings_of(valkey, tmp_path)
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode != 0
    assert "belongs to a deployment with another object store" in ended.stderr


@contextmanager
def api_over(environment: dict[str, str], log: Path) -> Iterator[str]:
    """The address of an API process with these settings."""
    port = free_port()
    command = [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=written)
    try:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: says_ok(f"{url}/livez"), within_s=120), log.read_text()
        yield url
    finally:
        process.kill()
        process.wait()


def test_an_api_that_started_while_redis_was_away_accepts_nothing_into_anothers_database(tmp_path: Path) -> None:
    store(tmp_path, "b")
    with running_valkey(persist=True) as valkey:
        check_database(valkey.ledger().scripts, store_id(store(tmp_path, "a")))
        valkey.kill()
        log = tmp_path / "api.log"
        with api_over(settings_of(valkey, tmp_path), log) as url:
            valkey.start()
            headers = {"authorization": "Bearer north"}
            with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:

                def upload() -> httpx.Response:
                    return client.post("/v1/uploads", files={"image": b"a picture"})

                assert eventually(
                    lambda: b"belongs to a deployment with another" in log.read_bytes() or upload() is None
                )
                for answer in (upload(), upload()):
                    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")
                assert client.get("/readyz").json()["ledger"] == "unavailable"
                assert log.read_bytes().count(b"belongs to a deployment with another") == 1
                assert list(store(tmp_path, "b").list("uploads/")) == []
                valkey.client.delete("mr:store")
                assert upload().status_code == 201
                assert says_ok(f"{url}/readyz")
