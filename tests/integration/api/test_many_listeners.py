"""Two thousand listeners on one API process, fast and slow ones: what they cost."""

import asyncio
import resource
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.drivers.api_jobs import accepted
from tests.support.servers.apis import a_valkey, api_process

LISTENERS = 2000
MOST_BYTES = 200_000_000


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _listen(address: str, path: str) -> Connection:
    """Return a connection on which the first event has arrived. Nothing more is read from it."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=4096)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer north\r\n\r\n".encode())
    await reader.readuntil(b"event: job")
    return reader, writer


async def _grown(address: str, process: psutil.Process, job: str) -> int:
    """Return by how many bytes the process has grown while all listeners are connected."""
    paths = [f"/v1/jobs/{job}/events", "/v1/events"]
    connections = [await _listen(address, path) for path in paths]
    before = process.memory_info().rss
    for _ in range(LISTENERS // 100):
        connections += await asyncio.gather(*(_listen(address, paths[place % 2]) for place in range(100)))
    grown = process.memory_info().rss - before
    for _, writer in connections:
        writer.close()
    return grown


@pytest.mark.slow_subject("many-listeners")
def test_two_thousand_listeners_cost_less_than_two_hundred_megabytes(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * LISTENERS)), hard))
    with a_valkey() as url, api_process(tmp_path, url, descriptors=8192) as (address, process):
        headers = {"Authorization": "Bearer north"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=30) as client:
            grown = asyncio.run(_grown(address, process, accepted(client, b"a")))
    print(f"{grown / 1e6:.0f} MB for {LISTENERS} listeners")
    assert grown < MOST_BYTES
