"""The credentials file: what each tenant may read, and what is wrong with a file."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from maskrelay.errors import CredentialUnknown, SettingsError, SourceInvalid, SourceNotAllowed
from maskrelay.sources.credential_file import CredentialFile
from tests.support.builders.credentials import write_credentials

ARCHIVE = {"name": "archive", "kind": "s3", "reads": {"north": ["s3://archive/ct/"], "south": ["s3://archive/mr/"]}}
KNEES = {"name": "knees", "kind": "s3", "reads": {"north": ["s3://archive/ct/knees/"]}}
DISK = {"name": "disk", "kind": "file", "reads": {"south": ["file:///data/"]}, "writes": {"north": ["file:///out/"]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_credentials(tmp_path / "credentials.json", ARCHIVE, KNEES, DISK)


@pytest.fixture
def file(path: Path) -> CredentialFile:
    return CredentialFile.open(str(path))


@pytest.mark.parametrize(
    ("tenant", "url", "name", "found"),
    [
        ("north", "s3://archive/ct/1.dcm", "archive", "archive"),
        ("north", "s3://archive/ct/1.dcm", None, "archive"),
        ("north", "s3://archive/ct/knees/1.dcm", None, "knees"),
        ("north", "s3://archive/ct/knees/1.dcm", "archive", "archive"),
        ("north", "S3://archive/ct/1.dcm", None, "archive"),
        ("south", "s3://archive/mr/", None, "archive"),
        ("south", "file:///data/a.png", None, "disk"),
    ],
)
def test_the_credential_is_the_named_one_or_the_one_with_the_longest_prefix(
    file: CredentialFile, tenant: str, url: str, name: str | None, found: str
) -> None:
    assert file.readable(tenant, url, name).name == found


@pytest.mark.parametrize(
    ("tenant", "url", "name", "error"),
    [
        ("north", "s3://archive/mr/1.dcm", "archive", SourceNotAllowed),
        ("north", "s3://archive/mr/1.dcm", None, SourceNotAllowed),
        ("north", "s3://archive/ct-old/1.dcm", None, SourceNotAllowed),
        ("north", "s3://archive/ct", None, SourceNotAllowed),
        ("north", "s3://archive2/ct/1.dcm", None, SourceNotAllowed),
        ("north", "file:///out/1.dcm", None, SourceNotAllowed),  # it may be written, but not read
        ("north", "file:///data/a.png", "disk", CredentialUnknown),  # it is another tenant's
        ("north", "s3://archive/ct/1.dcm", "nothing", CredentialUnknown),
        ("west", "s3://archive/ct/1.dcm", "archive", CredentialUnknown),
        ("west", "s3://archive/ct/1.dcm", None, SourceNotAllowed),
        ("north", "s3://archive/ct/../mr/1.dcm", None, SourceInvalid),
    ],
)
def test_what_no_prefix_of_the_tenant_contains_is_refused(
    file: CredentialFile, tenant: str, url: str, name: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        file.readable(tenant, url, name)


def test_writing_has_prefixes_of_its_own(file: CredentialFile) -> None:
    assert file.writable("north", "file:///out/table/", None).name == "disk"
    with pytest.raises(SourceNotAllowed):
        file.writable("north", "s3://archive/ct/1.dcm", None)


def test_without_a_file_nothing_may_be_read() -> None:
    with pytest.raises(SourceNotAllowed):
        CredentialFile.open(None).readable("north", "s3://archive/ct/1.dcm", None)


def test_a_changed_file_takes_effect_and_a_broken_one_does_not(
    path: Path, file: CredentialFile, caplog: pytest.LogCaptureFixture
) -> None:
    write_credentials(path, KNEES)
    with pytest.raises(SourceNotAllowed):
        file.readable("north", "s3://archive/ct/1.dcm", None)
    path.write_text("[{")
    os.utime(path, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        assert file.readable("north", "s3://archive/ct/knees/1.dcm", None).name == "knees"
    assert "the previous credentials stay in use" in caplog.text


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "ftp"}, "kind"),
        ({"kind": "s3", "reads": {"north": ["s3://archive/ct"]}}, "a prefix must end with /"),
        ({"kind": "s3", "reads": {"north": ["file:///data/"]}}, "the prefixes of this kind begin with s3"),
        ({"kind": "s3", "access_key_id": "AKIA-HIDDEN"}, "access_key_id needs secret"),
        ({"kind": "s3", "sekret": "HIDDEN"}, "sekret"),
        ({"kind": "s3", "secret": "HIDDEN", "secret_file": "/x", "access_key_id": "a"}, "cannot both be set"),
        ({"kind": "https", "allow": ["a b"]}, "expected host names"),
        ({"kind": "file", "reads": {"No Tenant": ["file:///data/"]}}, "reads"),
    ],
)
def test_a_mistake_is_named_and_no_value_is_quoted(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    path = write_credentials(tmp_path / "credentials.json", {"name": "archive", **entry})
    with pytest.raises(SettingsError) as caught:
        CredentialFile.open(str(path))
    assert said in caught.value.detail
    assert "HIDDEN" not in caught.value.detail


@pytest.mark.parametrize("body", ["", "{}", json.dumps([KNEES, KNEES])])
def test_a_file_that_is_no_list_or_has_a_name_twice_is_refused(tmp_path: Path, body: str) -> None:
    (tmp_path / "credentials.json").write_text(body)
    with pytest.raises(SettingsError, match="MASKRELAY_CREDENTIALS_FILE"):
        CredentialFile.open(str(tmp_path / "credentials.json"))
