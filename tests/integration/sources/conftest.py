"""A folder, a bucket, a container and a web server from which a tenant may read, and readers of them."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.source_readers import SourceReaders
from maskrelay.storage.azure_requests import AzureRequests
from tests.integration.sources.places import TOKEN, Place, https_credential, in_folder
from tests.support.builders.certificates import Authority
from tests.support.builders.credentials import folder_credential, s3_credential, write_credentials
from tests.support.servers.azurite import RunningAzurite, running_azurite
from tests.support.servers.s3_servers import RunningS3, running_s3
from tests.support.servers.web_folders import web_folder


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3("images") as running:
        yield running


@pytest.fixture(scope="module")
def azure() -> Iterator[RunningAzurite]:
    with running_azurite("images") as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def web(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("web")
    with web_folder(folder, authority.issue("web", "127.0.0.1"), TOKEN) as url:
        yield url, folder


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    folder = tmp_path / "data"
    folder.mkdir()
    return in_folder(folder, f"{folder.as_uri()}/", folder_credential(folder))


@pytest.fixture
def s3_place(s3: RunningS3) -> Place:
    client = boto3.session.Session().client("s3", endpoint_url=s3.endpoint_url)
    for found in client.list_objects_v2(Bucket=s3.bucket, Prefix="ct/").get("Contents", []):
        client.delete_object(Bucket=s3.bucket, Key=found["Key"])
    return Place(
        f"s3://{s3.bucket}/ct/",
        s3_credential(s3.bucket, s3.endpoint_url, "ct/"),
        lambda name, body: client.put_object(Bucket=s3.bucket, Key=f"ct/{name}", Body=body),
        lambda name: client.delete_object(Bucket=s3.bucket, Key=f"ct/{name}"),
    )


@pytest.fixture
def azure_place(azure: RunningAzurite) -> Place:
    prefix = f"{secrets.token_hex(8)}/"
    base = f"az://{azure.container}/{prefix}"
    entry = {"name": "lake", "kind": "azure", "reads": {"north": [base]}}
    entry |= {"auth": "connection_string", "secret": azure.connection_string}
    requests = AzureRequests(azure.account, azure.container)
    return Place(
        base,
        entry,
        lambda name, body: requests.put(f"{prefix}{name}", body, "application/octet-stream"),
        lambda name: requests.delete(f"{prefix}{name}"),
    )


@pytest.fixture
def web_place(web: tuple[str, Path], authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Place:
    url, folder = web
    monkeypatch.setenv("MASKRELAY_CA_FILE", str(authority.file))
    return in_folder(folder, f"{url}/", https_credential(url))


@pytest.fixture(params=["file_place", "s3_place", "azure_place", "web_place"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["file_place", "s3_place", "azure_place"])
def listed_place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture
def reading(tmp_path: Path) -> Callable[..., SourceReaders]:
    def readers(*entries: dict[str, Any]) -> SourceReaders:
        return SourceReaders(CredentialFile.open(str(write_credentials(tmp_path / "credentials.json", *entries))))

    return readers
