"""An API over files in a folder and a real Valkey, a client of it, and what the worker's stages are called with."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.simulators import RunningSimulator, running_simulator
from tests.support.servers.valkeys import RunningValkey
from worker.context import WorkerContext


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def api(tmp_path: Path, valkey: RunningValkey) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", valkey.url) as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    """The requests of a tenant that may submit and read jobs."""
    with api.client() as client:
        yield client


@pytest.fixture
def context(api: RunningApi) -> WorkerContext:
    """The shared objects of a worker process, over the storage and the ledger of the API."""
    return WorkerContext(api.settings, api.storage, api.ledger)
