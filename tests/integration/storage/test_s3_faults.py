"""An S3 server whose answers get lost on the way, or that does not keep what S3 promises."""

from collections.abc import Iterator

import pytest

from maskrelay.errors import ObjectExists, SettingsError, StorageUnavailable
from maskrelay.storage.factory import check_create_once, open_storage
from maskrelay.storage.s3 import S3Storage
from tests.support.proxies.s3_proxy import FaultyProxy, faulty_proxy
from tests.support.servers.s3_servers import RunningS3, running_s3


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as server:
        yield server


@pytest.fixture
def proxy(s3) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def storage(s3, proxy, request) -> S3Storage:
    return S3Storage.open(s3.bucket, f"{request.node.name}/", proxy.url)


def test_a_create_whose_answer_is_lost_knows_its_own_object(storage, proxy):
    proxy.lose_answers = 1
    storage.create("a", b"mine")
    assert proxy.puts == 2
    assert storage.get("a") == b"mine"


def test_a_lost_answer_does_not_make_anothers_object_ours(s3, storage, proxy, request):
    S3Storage.open(s3.bucket, f"{request.node.name}/", s3.endpoint_url).create("a", b"theirs")
    proxy.lose_answers = 1
    with pytest.raises(ObjectExists):
        storage.create("a", b"mine")
    assert storage.get("a") == b"theirs"


def test_create_tries_three_times_and_then_says_so(storage, proxy):
    proxy.lose_answers = 5
    with pytest.raises(StorageUnavailable):
        storage.create("a", b"mine")
    assert proxy.puts == 3
    assert proxy.lose_answers == 2


def test_a_busy_server_is_tried_again(storage, proxy):
    proxy.answer_503 = 2
    storage.create("a", b"created")
    proxy.answer_503 = 2
    storage.put("b", b"put")
    assert (storage.get("a"), storage.get("b")) == (b"created", b"put")


def test_a_server_that_stays_busy_is_unavailable(storage, proxy):
    proxy.answer_503 = 100
    with pytest.raises(StorageUnavailable):
        storage.put("b", b"put")
    assert proxy.puts == 3


def test_a_server_that_ignores_the_condition_is_refused_at_start(storage, proxy):
    proxy.drop_conditions = True
    with pytest.raises(SettingsError, match="two creates"):
        check_create_once(storage)
    assert list(storage.list("")) == []


def test_a_large_upload_cut_off_leaves_no_parts_behind(s3, storage, proxy, request):
    with storage.writer("a") as writer:
        writer.write(bytes(9 << 20))
        proxy.answer_503 = 100
        with pytest.raises(StorageUnavailable):
            writer.write(bytes(9 << 20))
    uploads = storage._client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
    assert [upload["Key"] for upload in uploads if request.node.name in upload["Key"]] == []


def test_the_url_puts_objects_under_its_prefix(s3):
    storage = open_storage(f"s3://{s3.bucket}/some/prefix/", s3.endpoint_url)
    storage.create("jobs/a", b"x")
    whole = open_storage(f"s3://{s3.bucket}", s3.endpoint_url)
    assert whole.get("some/prefix/jobs/a") == b"x"
    assert list(storage.list("")) == ["jobs/a"]


def test_a_strangers_object_is_not_listed(s3, storage):
    storage._client.put_object(Bucket=s3.bucket, Key=storage._prefix + "folder/", Body=b"")
    storage.put("folder/a", b"")
    assert list(storage.list("")) == ["folder/a"]


def test_denied_credentials_are_an_unavailable_store(s3, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    storage = S3Storage.open(s3.bucket, "", s3.endpoint_url)
    with pytest.raises(StorageUnavailable, match="NoCredentialsError"):
        storage.get("a")
