"""A service that is set up well, for the tests that plant one fault at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.drivers.doctors import SERVER_KEY, Environment
from tests.support.servers.apis import KEYS, write_keys
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey, running_valkey


@pytest.fixture(scope="module")
def good_valkey() -> Iterator[RunningValkey]:
    with running_valkey(persist=True) as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture
def environment(good_valkey: RunningValkey, tmp_path: Path) -> Environment:
    """Of a process that is set up well; without an endpoint, which not every process has."""
    good_valkey.client.flushall()
    good_valkey.client.hset("mr:sweep", "last", good_valkey.client.time()[0] * 1000)
    (tmp_path / "store").mkdir()
    write_keys(tmp_path / "keys.json", KEYS)
    return {
        "PATH": "/usr/bin",
        "MASKRELAY_REDIS_URL": good_valkey.url,
        "MASKRELAY_STORAGE_URL": (tmp_path / "store").as_uri(),
        "MASKRELAY_SERVER_KEY": SERVER_KEY,
        "MASKRELAY_KEYS_FILE": str(tmp_path / "keys.json"),
    }
