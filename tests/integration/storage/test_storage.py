"""What every store promises: in a folder, on a real S3 server, and on a real server of Azure Blob Storage."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage.azure_account import azure_account
from maskrelay.storage.azure_store import AzureStorage
from maskrelay.storage.factory import check_create_once
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.protocol import CHUNK_BYTES, Storage
from maskrelay.storage.s3 import S3Storage
from tests.support.servers.azurite import RunningAzurite, running_azurite
from tests.support.servers.s3_servers import RunningS3, running_s3

BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "a b",
    "a\\b",
    "~a",
    "ä",
    "a\n",
    "a\0b",
    "a/" * 256 + "a",
    "a" * 256,
]


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="module")
def azurite() -> Iterator[RunningAzurite]:
    with running_azurite() as server:
        yield server


@pytest.fixture(params=["file", "s3", "azure"])
def storage(request, tmp_path) -> Storage:
    if request.param == "file":
        return FileStorage(tmp_path)
    if request.param == "azure":
        server = request.getfixturevalue("azurite")
        return AzureStorage.open(server.account, server.container, f"{uuid4().hex}/")
    server = request.getfixturevalue("s3")
    return S3Storage.open(server.bucket, f"{uuid4().hex}/", server.endpoint_url)


def test_what_was_created_is_read_back(storage):
    storage.create("jobs/a/job.json", b"body", "application/json")
    assert storage.get("jobs/a/job.json") == b"body"


def test_an_empty_object_is_an_object(storage):
    storage.create("live/a", b"")
    assert storage.get("live/a") == b""
    assert list(storage.stream("live/a")) == []
    assert storage.head("live/a").size == 0


def test_a_second_create_is_refused_and_changes_nothing(storage):
    storage.create("a/b", b"first")
    with pytest.raises(ObjectExists):
        storage.create("a/b", b"second")
    assert storage.get("a/b") == b"first"


def test_an_equal_second_create_is_refused_too(storage):
    storage.create("a/b", b"same")
    with pytest.raises(ObjectExists):
        storage.create("a/b", b"same")


def test_of_many_creates_at_once_exactly_one_succeeds(storage):
    start = threading.Barrier(8)

    def create(number: int) -> int | None:
        start.wait()
        try:
            storage.create("new/folder/key", str(number).encode())
        except ObjectExists:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(create, range(8)) if number is not None]
    assert [storage.get("new/folder/key")] == [str(number).encode() for number in winners]


def test_many_threads_make_neighbours_in_one_new_folder(storage):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: storage.create(f"x/y/z/{number}", b"."), range(32)))
    assert sorted(storage.list("x/")) == sorted(f"x/y/z/{number}" for number in range(32))


def test_put_replaces(storage):
    storage.put("a", b"first, longer")
    storage.put("a", b"second")
    assert storage.get("a") == b"second"
    assert list(storage.list("")) == ["a"]


@pytest.mark.parametrize("count", [0, 1, 3, 150])
def test_many_objects_are_written_together(storage, count):
    storage.put("b/000", b"first")
    bodies = {f"{'ab'[number % 2]}/{number:03d}": bytes(number) for number in range(count)}
    storage.put_all(bodies, "text/plain")
    assert {key: storage.get(key) for key in storage.list("")} == {"b/000": b"first"} | bodies


def test_a_bad_key_among_many_is_refused(storage):
    with pytest.raises(KeyInvalid):
        storage.put_all({"a": b"x", "a//b": b"y", "c": b"z"})


def test_create_is_refused_after_put(storage):
    storage.put("a", b"first")
    with pytest.raises(ObjectExists):
        storage.create("a", b"second")


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (9, 1, b"9"),
        (8, 100, b"89"),
        (10, None, b""),
        (11, 3, b""),
        (3, 0, b""),
        (0, 0, b""),
    ],
)
def test_a_range_is_cut_at_the_end(storage, start, length, expected):
    storage.put("digits", b"0123456789")
    assert storage.get("digits", start, length) == expected
    assert b"".join(storage.stream("digits", start, length)) == expected


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
def test_a_range_that_cannot_be_is_a_mistake_of_the_caller(storage, start, length):
    with pytest.raises(ValueError, match="range"):
        storage.get("digits", start, length)


def test_a_stream_comes_in_chunks_of_at_most_one_mebibyte(storage):
    body = random.Random(1).randbytes(2 * CHUNK_BYTES + 5)
    storage.put("large", body)
    chunks = list(storage.stream("large"))
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert b"".join(storage.stream("large", 7, CHUNK_BYTES + 1)) == body[7 : CHUNK_BYTES + 8]


def test_a_stream_left_early_leaves_the_store_usable(storage):
    storage.put("large", bytes(3 * CHUNK_BYTES))
    for _ in range(50):
        chunks = storage.stream("large")
        next(chunks)
        chunks.close()
        storage.stream("large")  # dropped unread
    assert storage.head("large").size == 3 * CHUNK_BYTES


def test_a_missing_object_is_named_so_by_every_reader(storage):
    storage.put("folder/there", b"")
    for key in ("absent", "folder", "folder/absent", "folder/there/deeper"):
        for read in (storage.get, storage.head, storage.stream):
            with pytest.raises(ObjectMissing):
                read(key)
        with pytest.raises(ObjectMissing):
            storage.get(key, 0, 0)


def test_head_tells_size_and_time(storage):
    storage.put("a", b"12345")
    facts = storage.head("a")
    assert facts.size == 5
    assert abs(datetime.now(UTC) - facts.modified) < timedelta(minutes=5)


def test_delete_removes_and_may_be_repeated(storage):
    storage.put("a/b", b"")
    storage.delete("a/b")
    storage.delete("a/b")
    storage.delete("never/was")
    with pytest.raises(ObjectMissing):
        storage.get("a/b")
    storage.create("a/b", b"again")
    assert storage.get("a/b") == b"again"


def test_keys_are_listed_in_the_order_of_their_bytes(storage):
    keys = ["a", "b-c/d", "b.used/x", "b/c", "b0", "live/B", "live/a", "live/a.cancel", "live/a0", "z/y/x/w"]
    for key in reversed(keys):
        storage.put(key, b"")
    assert list(storage.list("")) == sorted(keys)
    assert list(storage.list("live/")) == ["live/B", "live/a", "live/a.cancel", "live/a0"]
    assert list(storage.list("live/a")) == ["live/a", "live/a.cancel", "live/a0"]
    assert list(storage.list("b")) == ["b-c/d", "b.used/x", "b/c", "b0"]
    assert list(storage.list("none/")) == []


def test_a_list_goes_on_behind_any_key(storage):
    keys = sorted(["a", "b-c/d", "b.used/x", "b/c", "b/d", "b0", "c/d/e", "c/d/f", "c/e"])
    for key in keys:
        storage.put(key, b"")
    for after in ["", *keys, "b", "b/", "b/c0", "c/d", "zzz", "A"]:
        for prefix in ("", "b", "b/", "c/d"):
            expected = [key for key in keys if key > after and key.startswith(prefix)]
            assert list(storage.list(prefix, after)) == expected, (prefix, after)


def test_a_list_longer_than_a_page_is_whole(storage):
    keys = [f"many/{number:05}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: storage.put(key, b""), keys))
    assert list(storage.list("many/")) == keys
    assert list(storage.list("many/", "many/00002"))[:2] == ["many/00003", "many/00004"]


def test_a_key_outside_the_grammar_is_refused(storage):
    for key in BAD_KEYS:
        for call in (storage.get, storage.head, storage.stream, storage.delete, storage.writer):
            with pytest.raises(KeyInvalid):
                call(key)
        for write in (storage.create, storage.put):
            with pytest.raises(KeyInvalid):
                write(key, b"")


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "a b"])
def test_a_prefix_outside_the_grammar_is_refused(storage, prefix):
    with pytest.raises(KeyInvalid):
        storage.list(prefix)


@pytest.mark.parametrize("size", [0, 5, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_a_writer_makes_one_object_of_many_pieces(storage, size):
    body = random.Random(size).randbytes(size)
    with storage.writer("uploads/t/x") as writer:
        for at in range(0, size, 3 << 20):
            writer.write(body[at : at + (3 << 20)])
        assert list(storage.list("")) == []
        writer.commit()
    assert storage.get("uploads/t/x") == body


def test_a_writer_cuts_one_huge_piece_itself(storage):
    body = random.Random(2).randbytes(19 << 20)
    with storage.writer("a") as writer:
        writer.write(body)
        writer.commit()
    assert storage.get("a") == body


@pytest.mark.parametrize("size", [5, 9 << 20])
def test_a_writer_left_without_commit_leaves_nothing(storage, size):
    with storage.writer("a/b") as writer:
        writer.write(bytes(size))
    with pytest.raises(TypeError), storage.writer("a/b") as writer:
        writer.write("a caller's mistake half-way")
    with pytest.raises(ObjectMissing):
        storage.get("a/b")
    assert list(storage.list("")) == []


def test_abort_after_commit_changes_nothing(storage):
    with storage.writer("a") as writer:
        writer.write(b"kept")
        writer.commit()
        writer.abort()
    assert storage.get("a") == b"kept"


def test_a_store_that_keeps_its_word_passes_the_trial_and_is_left_clean(storage):
    check_create_once(storage)
    assert list(storage.list("")) == []


def test_a_store_that_is_not_there_is_unavailable_never_empty(s3, azurite, tmp_path):
    nowhere = azure_account(connection_string=azurite.connection_string.replace(azurite.url, "http://127.0.0.1:1/d"))
    for storage in (
        AzureStorage.open(azurite.account, "absent-container"),
        AzureStorage.open(nowhere, "any-container"),
        FileStorage(tmp_path / "absent"),
        S3Storage.open("absent-bucket", "", s3.endpoint_url),
        S3Storage.open("any-bucket", "", "http://127.0.0.1:1"),
    ):
        calls = [
            lambda storage=storage: storage.get("a"),
            lambda storage=storage: storage.head("a"),
            lambda storage=storage: storage.delete("a"),
            lambda storage=storage: list(storage.list("a/")),
            lambda storage=storage: storage.put("a", b""),
            lambda storage=storage: storage.create("a", b""),
        ]
        for call in calls:
            with pytest.raises(StorageUnavailable) as caught:
                call()
            for secret in ("absent", "127.0.0.1", str(tmp_path)):
                assert secret not in str(caught.value)
