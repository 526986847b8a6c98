"""A real Azure Blob Storage server (Azurite) as a child process on a free loopback port. Its objects are in memory."""

import base64
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from maskrelay.storage.azure_account import AzureAccount, azure_account
from maskrelay.storage.azure_credentials import lifetime_of
from maskrelay.storage.azure_requests import AzureRequests
from maskrelay.storage.azure_signatures import VERSION, _iso, _signature
from tests.support.checks.system_programs import node_file, system_program

CONTAINER = "maskrelay-test"
ACCOUNT = "devstoreaccount1"
#: The key of every emulator's account, which its documentation publishes.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#: The variables from which an account is read.
VARIABLES = ("ACCOUNT", "ACCOUNT_NAME", "KEY", "ACCOUNT_KEY", "SAS_TOKEN", "SERVICE_ENDPOINT", "CONNECTION_STRING")


@dataclass(frozen=True)
class RunningAzurite:
    #: The URL of the account's blob service.
    url: str
    container: str
    pid: int

    @property
    def storage_url(self) -> str:
        return f"az://{self.container}/runs"

    @property
    def connection_string(self) -> str:
        scheme = self.url.partition(":")[0]
        return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"

    @property
    def environment(self) -> dict[str, str]:
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string}

    @property
    def account(self) -> AzureAccount:
        return azure_account(connection_string=self.connection_string)


@contextmanager
def running_azurite(container: str = CONTAINER, *options: str) -> Iterator[RunningAzurite]:
    """Start the server, create `container`, and set its connection string in `os.environ` while it runs."""
    with tempfile.TemporaryDirectory() as folder, _azurite(Path(folder), options) as (url, pid):
        server = RunningAzurite(url, container, pid)
        with without_azure(), pytest.MonkeyPatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            create_container(server, container)
            yield server


@contextmanager
def without_azure() -> Iterator[None]:
    """Let the environment name no storage account, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(f"AZURE_STORAGE_{name}", raising=False)
        yield


def create_container(server: RunningAzurite, container: str) -> None:
    where = httpx.URL(f"{server.url}/{container}", params={"restype": "container"})
    AzureRequests(server.account, container)._sent("PUT", where)


def container_sas(azurite: RunningAzurite) -> str:
    """Return a signature for everything in the container, as an operator makes one."""
    key = base64.b64decode(KEY)
    starts, ends = map(_iso, lifetime_of(timedelta(minutes=1)))
    resource = f"/blob/{ACCOUNT}/{azurite.container}"
    lines = ["racwdl", starts, ends, resource, "", "", "https,http", VERSION, "c", *[""] * 7]
    pairs = {"sp": "racwdl", "st": starts, "se": ends, "spr": "https,http", "sv": VERSION, "sr": "c"}
    return str(httpx.QueryParams(pairs | {"sig": _signature(key, lines)}))


@contextmanager
def _azurite(folder: Path, options: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    program = node_file("azurite/dist/src/blob/main.js")
    where = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    command = [system_program("node", "nodejs"), str(program), *where, "--disableTelemetry", *options]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        found = next(filter(None, (re.search(r"listens on (https?://\S+:\d+)", line) for line in lines)), None)
        assert found, "Azurite did not start"
        yield f"{found[1]}/{ACCOUNT}", child.pid
    finally:
        child.kill()
        child.communicate()
