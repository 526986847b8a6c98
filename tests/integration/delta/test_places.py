"""The places of result tables, written with the tenant's own credential, in a folder, in S3 and in Azure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maskrelay.delta.delta_table import DeltaTable
from maskrelay.delta.places_file import TenantTables, open_place, read_tables_file
from maskrelay.errors import SettingsError
from maskrelay.sources.credential_file import CredentialFile
from tests.support.builders.credentials import s3_credential, write_credentials
from tests.support.drivers.table_writers import COLUMNS, part_of
from tests.support.servers.apis import make_settings
from tests.support.servers.azurite import running_azurite
from tests.support.servers.s3_servers import running_s3

#: The variables by which a process finds its own credentials.
OWN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AZURE_STORAGE_CONNECTION_STRING")


@pytest.fixture(scope="module")
def s3_entry() -> Iterator[dict[str, Any]]:
    with running_s3("lake") as s3:
        yield {**s3_credential("lake", s3.endpoint_url), "reads": {}, "writes": {"north": ["s3://lake/tables/"]}}


@pytest.fixture(scope="module")
def azure_entry() -> Iterator[dict[str, Any]]:
    with running_azurite("lake") as azure:
        secret = {"auth": "connection_string", "secret": azure.connection_string}
        yield {"name": "azure", "kind": "azure", "writes": {"north": ["az://lake/tables/"]}, **secret}


@pytest.fixture
def file_entry(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "tables").mkdir()
    return {"name": "disk", "kind": "file", "writes": {"north": [f"{tmp_path.as_uri()}/tables/"]}}


@pytest.fixture(params=["file_entry", "s3_entry", "azure_entry"])
def entry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = request.getfixturevalue(request.param)
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    return found


def credentials_of(tmp_path: Path, *entries: dict[str, Any]) -> CredentialFile:
    return CredentialFile.open(str(write_credentials(tmp_path / "credentials.json", *entries)))


def test_rows_are_added_with_the_credential_of_the_tenant(entry: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    settings, credentials = make_settings(tmp_path / "store", "redis://127.0.0.1:1"), credentials_of(tmp_path, entry)
    [prefix] = entry["writes"]["north"]
    place = TenantTables(tables_url=prefix.rstrip("/"), credential=entry["name"])
    for number in (1, 2):
        store = open_place(settings, credentials, "north", place)
        assert DeltaTable(store, "masks/", "masks", COLUMNS).add(part_of("a", number, 2))
    table = DeltaTable(open_place(settings, credentials, "north", place), "masks/", "masks", COLUMNS)
    assert len(table.refresh().files) == 4
    for tenant, changed in (
        ("south", place),
        ("north", place.model_copy(update={"credential": "unknown"})),
        ("north", place.model_copy(update={"tables_url": f"{prefix.rstrip('/')}-of-others"})),
    ):
        with pytest.raises(SettingsError) as refused:
            open_place(settings, credentials, tenant, changed)
        assert prefix not in refused.value.detail


def test_a_credential_that_only_reads_writes_no_table(tmp_path: Path) -> None:
    web = {"name": "web", "kind": "https", "writes": {"north": ["https://lake.example/t/"]}}
    public = {**s3_credential("open", "http://127.0.0.1:1"), "writes": {"north": ["s3://open/t/"]}, "anonymous": True}
    del public["access_key_id"], public["secret"]
    lost = {"name": "lost", "kind": "file", "writes": {"north": ["file:///t/"]}, "secret_file": "/hidden"}
    (tmp_path / "store").mkdir()
    settings = make_settings(tmp_path / "store", "redis://127.0.0.1:1")
    credentials = credentials_of(tmp_path, web, public, lost)
    for name, url in (("web", "https://lake.example/t"), ("archive", "s3://open/t"), ("lost", "file:///t")):
        with pytest.raises(SettingsError):
            open_place(settings, credentials, "north", TenantTables(tables_url=url, credential=name))


def test_a_credential_needs_a_place(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text('{"north": {"credential": "lake"}}')
    with pytest.raises(SettingsError, match="credential needs tables_url"):
        read_tables_file(tmp_path / "tables.json")
