"""An API with a credential for the folder of a test, and a caller of the tenant `north`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.builders.credentials import folder_credential, write_credentials
from tests.support.servers.apis import RunningApi, running_api


@pytest.fixture
def credentials(tmp_path: Path, data: Path) -> Path:
    return write_credentials(tmp_path / "credentials.json", folder_credential(data))


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str, credentials: Path) -> Iterator[RunningApi]:
    limits = {"tenant_jobs": 1000, "tenant_frames": 100_000, "tenant_interactive": 100_000}
    with running_api(tmp_path / "store", empty_valkey, credentials_file=str(credentials), **limits) as running:
        yield running


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client
