from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from maskrelay.errors import SettingsError
from maskrelay.storage.factory import check_create_once, open_storage
from maskrelay.storage.file_store import FileStorage


def test_a_file_url_opens_the_folder_it_names(tmp_path):
    (tmp_path / "my results").mkdir()
    storage = open_storage(f"file://{tmp_path}/my%20results", None)
    storage.put("a", b"x")
    assert (tmp_path / "my results" / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/folder",
        "file:relative",
        "file://host/folder",
        "s3://",
        "s3:///prefix",
        "s3://Bucket_",
        "s3://bucket/a b",
        "s3://bucket/a/../b",
        "s3://bucket/a?b",
        "gs://bucket/a",
        "https://bucket.example",
    ],
)
def test_any_other_url_is_a_settings_error(url):
    with pytest.raises(SettingsError):
        open_storage(url, None)


@pytest.mark.parametrize("endpoint", ["", "localhost:9000", "ftp://host", "http://"])
def test_an_endpoint_that_is_no_http_address_is_a_settings_error(endpoint):
    with pytest.raises(SettingsError):
        open_storage("s3://bucket/prefix", endpoint)


class Forgetful(FileStorage):
    """A store whose create overwrites, as some S3 servers' does."""

    def create(self, key, body, content_type=""):
        self.put(key, body, content_type)


def test_a_store_that_takes_two_creates_of_one_key_is_refused(tmp_path):
    storage = Forgetful(tmp_path)
    with pytest.raises(SettingsError, match="two creates"):
        check_create_once(storage)
    assert list(storage.list("")) == []


class Liar(Forgetful):
    """A store that overwrites and then says that it did not."""

    def create(self, key, body, content_type=""):
        taken = key in self.list("")
        self.put(key, body, content_type)
        if taken:
            super(Forgetful, self).create(key, body)


def test_a_store_that_refuses_and_overwrites_all_the_same_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="overwrites"):
        check_create_once(Liar(tmp_path))


def test_an_address_that_is_given_away_names_the_buckets_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "me-south-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    address = urlsplit(open_storage("s3://results/runs", None).presign("jobs/a/job.json", timedelta(seconds=0.5)))
    assert (address.netloc, address.path) == ("results.s3.me-south-1.amazonaws.com", "/runs/jobs/a/job.json")
    assert parse_qs(address.query)["X-Amz-Expires"] == ["1"]
