"""The limit on the time of a call to the store of a table."""

import threading
from pathlib import Path

import pytest

from maskrelay.delta.table_store import BoundedStore
from maskrelay.errors import ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage.file_store import FileStorage


def test_calls_return_and_raise_what_the_store_does(tmp_path: Path) -> None:
    store = BoundedStore(FileStorage(tmp_path))
    store.create("a/1", b"first")
    store.put("a/2", b"second")
    assert list(store.list("a/")) == ["a/1", "a/2"]
    assert list(store.list("a/", "a/1")) == ["a/2"]
    assert store.get("a/2") == b"second"
    with pytest.raises(ObjectExists):
        store.create("a/1", b"again")
    store.delete("a/1")
    with pytest.raises(ObjectMissing):
        store.get("a/1")


def test_a_call_that_hangs_ends_and_the_next_ones_fail_at_once_until_it_does(tmp_path: Path) -> None:
    go_on, reached = threading.Event(), threading.Semaphore(0)

    class Hanging(FileStorage):
        """A folder on a file system that does not respond."""

        def put(self, key: str, body: bytes, content_type: str = "") -> None:
            reached.release()
            go_on.wait()
            super().put(key, body, content_type)

    store = BoundedStore(Hanging(tmp_path), longest_s=0.05)
    with pytest.raises(StorageUnavailable) as first:
        store.put("a", b"1")
    with pytest.raises(StorageUnavailable) as second:
        store.get("b")
    assert (first.value.reason, second.value.reason) == ("timeout", "hanging")
    assert reached.acquire(blocking=False)
    assert not reached.acquire(blocking=False)
    assert store._hanging is not None
    go_on.set()
    store._hanging.join()
    assert BoundedStore(FileStorage(tmp_path)).get("a") == b"1"
    assert list(store.list("")) == ["a"]
