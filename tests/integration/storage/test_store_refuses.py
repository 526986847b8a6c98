"""A store that answers and cannot be used ends the start with a word, makes the API not ready, and is told once."""

import errno
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from maskrelay.errors import SettingsError, StorageUnavailable
from maskrelay.storage import store_health
from maskrelay.storage.factory import open_storage, try_at_start
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.folders import WRITING, storage_errors
from tests.support.drivers.api_jobs import submit
from tests.support.servers.apis import RunningApi, make_settings
from tests.support.servers.valkeys import RunningValkey
from worker.process.celery_app import await_own_database

MINUTE = timedelta(minutes=1)


class Refusing(FileStorage):
    """A folder that can be read, and of which the file system refuses writes as long as `why` says."""

    why: int = 0

    def create(self, key: str, body: bytes, content_type: str = "") -> None:
        with storage_errors(WRITING):
            if self.why:
                raise OSError(self.why, "it will not be")
        super().create(key, body, content_type)


@pytest.mark.parametrize("why", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP])
def test_a_folder_that_refuses_writes_ends_the_start_and_one_that_is_away_does_not(tmp_path: Path, why: int) -> None:
    storage = Refusing(tmp_path)
    try_at_start(storage)
    storage.why = why
    with pytest.raises(SettingsError, match=errno.errorcode[why]):
        try_at_start(storage)
    storage.why = errno.EIO
    try_at_start(storage)
    try_at_start(FileStorage(tmp_path / "not mounted"))


def test_a_file_system_without_hard_links_ends_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(SettingsError, match="EPERM"):
        try_at_start(FileStorage(tmp_path))


def test_a_worker_stands_the_stores_trial_too(
    valkey: RunningValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    settings = make_settings(tmp_path, valkey.url)
    await_own_database(settings)
    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(SettingsError, match="EPERM"):
        await_own_database(settings)


def awaited(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_api_is_not_ready_while_writes_are_refused_and_says_why_once(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(store_health, "PERIOD_S", 0.05)
    with api.client() as north, caplog.at_level(logging.WARNING):
        assert north.get("/readyz").json()["storage"] == "ok"
        with monkeypatch.context() as broken:
            broken.setattr(os, "link", full)
            awaited(lambda: north.get("/readyz").status_code == 503)
            for _ in range(3):
                assert submit(north, b"x").status_code == 503
            assert north.get("/readyz").json() == {"ready": False, "ledger": "ok", "storage": "unavailable"}
        told = [getattr(record, "reason", "") for record in caplog.records if "cannot be used" in record.getMessage()]
        assert told == ["ENOSPC"]
        awaited(lambda: north.get("/readyz").status_code == 200)
        assert [record for record in caplog.records if "can be used again" in record.getMessage()]
        assert submit(north, b"x").status_code == 202


def test_a_reason_that_changes_is_told_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = store_health.StoreHealth(FileStorage(tmp_path))
    for reason in ("A", "A", "B", "B", "A"):
        known.failed(StorageUnavailable(reason=reason))
    assert [record.reason for record in caplog.records] == ["A", "B", "A"]


def test_credentials_that_are_rotated_in_their_file_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"

    def write(key: str) -> None:
        (tmp_path / "new").write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")
        (tmp_path / "new").replace(file)

    def used() -> str:
        address = storage.presign("jobs/a", MINUTE)
        assert address is not None
        return address.split("X-Amz-Credential=")[1].split("%2F")[0]

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    write("FIRST")
    storage = open_storage("s3://bucket/prefix", None)
    assert used() == "FIRST"
    write("SECOND")
    assert used() == "SECOND"
    file.write_text("[default")
    assert used() == "SECOND"
    file.unlink()
    assert used() == "SECOND"
    write("THIRD")
    assert used() == "THIRD"


@pytest.mark.parametrize(
    ("environment", "config", "address"),
    [
        ({}, "", "https://bucket.s3.eu-central-1.amazonaws.com/p/jobs/a"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "", "http://127.0.0.1:9/bucket/p/jobs/a"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:8"}, "", "http://127.0.0.1:8/bucket/p/jobs/a"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:8", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "",
            "https://bucket.s3.eu-central-1.amazonaws.com/p/jobs/a",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "http://s3.example:9"},
            "s3 =\n  addressing_style = virtual\n",
            "http://bucket.s3.example:9/p/jobs/a",
        ),
        ({}, "endpoint_url = http://127.0.0.1:7\n", "http://127.0.0.1:7/bucket/p/jobs/a"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "https://bucket.s3.dualstack.eu-central-1.amazonaws.com/p/jobs/a"),
    ],
)
def test_boto3s_environment_says_where_the_bucket_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], config: str, address: str
) -> None:
    (tmp_path / "config").write_text(f"[default]\n{config}")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    given = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-central-1"}
    for name, value in {**given, "AWS_CONFIG_FILE": str(tmp_path / "config"), **environment}.items():
        monkeypatch.setenv(name, value)
    assert str(open_storage("s3://bucket/p", None).presign("jobs/a", MINUTE)).partition("?")[0] == address


def test_a_profile_that_is_not_there_is_a_settings_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(SettingsError, match="ProfileNotFound"):
        open_storage("s3://bucket/p", None)


class Counted(FileStorage):
    """A folder that counts the names that are read from it."""

    names = 0

    def _entries(self, folder: str) -> tuple[str, ...]:
        found = super()._entries(folder)
        self.names += len(found)
        return found


def test_the_check_of_the_store_reads_no_list_that_grows_with_the_queue(tmp_path: Path) -> None:
    storage = Counted(tmp_path)
    storage.put_all({f"live/{number:026d}": b"" for number in range(300)})
    store_health.StoreHealth(storage).check()
    assert storage.names < 10
