"""One Valkey for all tests of the ledger, empty at the start of each test, and the plugins of every run."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from maskrelay.ledger import Ledger
from maskrelay.stack import loopback
from tests.support.checks import slow_subjects, time_per_folder
from tests.support.servers.valkeys import RunningValkey, running_valkey

# whatever else is in force (in CI: the same examples each time), no example is judged by the clock
settings.register_profile("no clock", settings(), deadline=None)
settings.load_profile("no clock")


def pytest_configure() -> None:
    """Give each process of pytest-xdist ports of its own, so that no two stacks choose the same one."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    loopback._PORTS = loopback._PORTS[number::workers]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    for plugin in (slow_subjects, time_per_folder):
        pluginmanager.register(plugin)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RunningValkey]:
    with running_valkey() as running:
        yield running


@pytest.fixture
def valkey(valkey_server: RunningValkey) -> RunningValkey:
    valkey_server.client.flushall()
    return valkey_server


@pytest.fixture
def ledger(valkey: RunningValkey) -> Ledger:
    return valkey.ledger()
