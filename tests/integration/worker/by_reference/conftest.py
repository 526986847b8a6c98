"""An API whose tenant `north` may read the folder of a test, and a worker with a real endpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.drivers.cleanup_passes import parts_of
from tests.support.drivers.segmenting import with_endpoint
from tests.support.servers.apis import RunningApi, running_api
from tests.support.servers.simulators import RunningSimulator, running_simulator
from worker.context import WorkerContext


@pytest.fixture(scope="module")
def endpoint() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def credentials(tmp_path: Path, data: Path) -> Path:
    away = {**s3_credential("away", "http://127.0.0.1:1"), "name": "away"}
    return write_credentials(tmp_path / "credentials.json", folder_credential(data), away)


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials)) as running:
        yield running


@pytest.fixture
def worker(api: RunningApi, endpoint: RunningSimulator) -> WorkerContext:
    return with_endpoint(parts_of(api), endpoint)
