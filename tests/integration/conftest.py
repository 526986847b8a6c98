"""One Valkey for all tests of the API; each test finds it empty, and a folder and an API of its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.support.drivers.api_jobs import accepted
from tests.support.servers.apis import (
    SMALL_LIMITS,
    RunningApi,
    a_valkey,
    running_api,
)


@pytest.fixture(scope="session")
def api_valkey() -> Iterator[str]:
    with a_valkey() as url:
        yield url


@pytest.fixture
def empty_valkey(api_valkey: str) -> str:
    with redis.Redis.from_url(api_valkey) as client:
        client.flushall()
    return api_valkey


@pytest.fixture
def api(tmp_path: Path, empty_valkey: str) -> Iterator[RunningApi]:
    with running_api(tmp_path / "store", empty_valkey, **SMALL_LIMITS) as running:
        yield running


@pytest.fixture
def north(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client("north") as client:
        yield client


@pytest.fixture
def south(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client("south") as client:
        yield client


@pytest.fixture
def two(north: httpx.Client) -> str:
    """A job of two pictures, not planned yet."""
    return accepted(north, b"a", b"b", options={"outputs": ["mask", "overlay"]})
