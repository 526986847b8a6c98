from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from maskrelay.errors import KeyInvalid, SettingsError
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
        "https://account.blob.core.windows.net",
        "https://account.blob.core.windows.net/c/p",
        "az://",
        "az://a_b c/p",
        "az://container/a b",
        "az://container/p?sv=2021",
        "file:///data/site#1",
        "file:///data/why?not",
        "abfss://container/p",
        "abfss://container@account.example/p",
        "abfss://@account.dfs.core.windows.net/p",
    ],
)
def test_any_other_url_is_a_settings_error(url):
    with pytest.raises(SettingsError):
        open_storage(url, None)


@pytest.mark.parametrize("endpoint", ["", "localhost:9000", "ftp://host", "http://"])
def test_an_endpoint_that_is_no_http_address_is_a_settings_error(endpoint):
    with pytest.raises(SettingsError):
        open_storage("s3://bucket/prefix", endpoint)


KEY = "AccountKey=c2VjcmV0"


@pytest.mark.parametrize(
    ("url", "connection", "address"),
    [
        ("az://results/runs", f"AccountName=north;{KEY}", "https://north.blob.core.windows.net/results/runs/a"),
        (
            "az://results",
            f"DefaultEndpointsProtocol=https;AccountName=north;{KEY};EndpointSuffix=core.chinacloudapi.cn",
            "https://north.blob.core.chinacloudapi.cn/results/a",
        ),
        (
            "az://results/runs",
            f"AccountName=devstoreaccount1;{KEY};BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;",
            "http://127.0.0.1:10000/devstoreaccount1/results/runs/a",
        ),
        ("abfss://results@north.dfs.core.windows.net/runs/", KEY, "https://north.blob.core.windows.net/results/runs/a"),
        ("https://north.blob.core.windows.net/results", KEY, "https://north.blob.core.windows.net/results/a"),
        (
            "https://north.z01.blob.storage.azure.net/results",
            KEY,
            "https://north.z01.blob.storage.azure.net/results/a",
        ),
    ],
)
def test_a_url_of_azure_names_container_prefix_and_account(url: str, connection: str, address: str):
    signed = open_storage(url, None, connection).presign("a", timedelta(seconds=1))
    assert str(signed).partition("?")[0] == address


AZURE = "abfss://results@north.dfs.core.windows.net/runs"


@pytest.mark.parametrize(
    ("url", "connection", "word"),
    [
        ("az://results/runs", KEY, "account is unknown"),
        (AZURE, f"AccountName=south;{KEY}", "another storage account"),
        (AZURE, "AccountKey=not base64!", "not valid base64"),
        (AZURE, "SharedAccessSignature=sv=2021", "no `sig`"),
        ("az://results", f"AccountName=North_;{KEY}", "lower-case letters"),
        ("az://results", f"AccountName=north;{KEY};BlobEndpoint=ftp://host", "begin with https://"),
        ("az://results", "AccountName=north;BlobEndpoint=http://127.0.0.1:1/north", "only by https"),
    ],
)
def test_an_account_that_cannot_be_used_is_a_settings_error_without_its_values(url: str, connection: str, word: str):
    with pytest.raises(SettingsError, match=word) as caught:
        open_storage(url, None, connection)
    assert "c2Vjc" not in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {"CONNECTION_STRING": f"AccountName=north;{KEY}"},
        {"ACCOUNT": "north", "KEY": "c2VjcmV0"},
        {"ACCOUNT_NAME": "north", "ACCOUNT_KEY": "c2VjcmV0"},
        {"ACCOUNT": "north", "KEY": "c2VjcmV0", "SERVICE_ENDPOINT": "https://north.blob.core.windows.net"},
    ],
)
def test_without_a_connection_string_azures_own_variables_say_the_account(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
):
    for name, value in environment.items():
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
    signed = open_storage("az://results/runs", None).presign("a", timedelta(seconds=1))
    assert str(signed).startswith("https://north.blob.core.windows.net/results/runs/a?sp=r&")


def test_the_longest_name_has_as_many_bytes_in_s3_as_it_has_characters_in_azure():
    s3, azure = open_storage("s3://results", None), open_storage("az://results", None, f"AccountName=north;{KEY}")
    for storage, longest in ((s3, "ä" * 512), (azure, "ä" * 1024)):
        storage.writer_at(longest).abort()
        with pytest.raises(KeyInvalid):
            storage.writer_at(f"{longest}x")


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
