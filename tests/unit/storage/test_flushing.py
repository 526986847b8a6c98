"""Writes to a file store that become durable together, with one call, before the object that names them is visible."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from maskrelay.errors import StorageUnavailable
from maskrelay.storage import flushing
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.protocol import has


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStorage:
    """A store on a file system on which writes can be flushed together."""
    monkeypatch.setattr(flushing, "_file_system_of", lambda _: "ext4")
    return FileStorage(tmp_path)


class Flushes:
    """The calls that have flushed something, in order. `look` is called before each of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.look: Callable[[str], object] = lambda _: None

    def counting(self, name: str, call: Callable[[int], None]) -> Callable[[int], None]:
        def counted(descriptor: int) -> None:
            self.look(name)
            self.calls.append(name)
            call(descriptor)

        return counted


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    flushes = Flushes()
    monkeypatch.setattr(os, "fsync", flushes.counting("fsync", os.fsync))
    monkeypatch.setattr(flushing, "flush_file_system", flushes.counting("syncfs", flushing.flush_file_system))
    return flushes


def test_what_an_object_names_is_durable_before_the_object_is_visible(store: FileStorage, flushes: Flushes) -> None:
    visible: list[bool] = []
    with store.flushed_later():
        store.put("job/masks/0", b"mask")
        with store.writer("job/final/items") as writer:
            writer.write(b"items")
            writer.commit()
        store.delete("job/masks/1")
    assert (flushes.calls, store.get("job/masks/0"), store.get("job/final/items")) == ([], b"mask", b"items")
    flushes.look = lambda _: visible.append(has(store, "job/result"))
    store.create("job/result", b"result")
    assert (flushes.calls, visible) == (["syncfs", "fsync"], [False, True])


@pytest.mark.parametrize("write", ["put", "create"])
def test_an_object_that_nothing_precedes_is_flushed_alone(store: FileStorage, flushes: Flushes, write: str) -> None:
    getattr(store, write)("object", b"content")
    assert flushes.calls == ["fsync", "fsync"]


def test_a_new_object_is_complete_as_soon_as_it_is_visible_even_where_others_are_flushed_later(
    store: FileStorage, flushes: Flushes
) -> None:
    visible: list[bool] = []
    flushes.look = lambda _: visible.append(has(store, "job/plan"))
    with store.flushed_later():
        store.create("job/plan", b"plan")
    assert (flushes.calls, visible) == (["syncfs"], [False])
    store.flush()
    assert (flushes.calls, visible) == (["syncfs", "syncfs"], [False, True])


def test_everything_is_durable_after_a_flush_and_nothing_is_left_to_flush(store: FileStorage, flushes: Flushes) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with store.flushed_later():
        store.put("a", b"a")
    store.flush()
    store.flush()
    assert flushes.calls == ["syncfs"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_only_the_thread_that_asked_for_it_writes_without_flushing(store: FileStorage, flushes: Flushes) -> None:
    with store.flushed_later():
        other = threading.Thread(target=store.put, args=("other", b"other"))
        other.start()
        other.join()
        assert flushes.calls == ["fsync", "fsync"]
        store.put("own", b"own")
    assert flushes.calls == ["fsync", "fsync"]


def test_the_content_of_a_large_object_is_flushed_piece_by_piece(
    store: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []
    monkeypatch.setattr(os, "fdatasync", pieces.append)
    with store.flushed_later(), store.writer("large") as writer:
        for _ in range(80):
            writer.write(bytes(1 << 20))
        writer.commit()
    assert len(pieces) == 2


def test_an_object_is_not_visible_if_what_it_names_could_not_be_flushed(
    store: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_: int) -> None:
        raise OSError(errno.EIO, "lost")

    with store.flushed_later():
        store.put("mask", b"mask")
    with monkeypatch.context() as failing:
        failing.setattr(flushing, "flush_file_system", lose)
        with pytest.raises(StorageUnavailable, match="EIO"):
            store.create("result", b"result")
        with pytest.raises(StorageUnavailable, match="EIO"):
            store.flush()
    assert list(store.list("")) == ["mask"]


@pytest.mark.parametrize("kind", ["nfs4", "fuse.s3fs", "overlay", None])
def test_where_a_flush_of_everything_is_not_certain_to_be_one_each_object_is_flushed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushes: Flushes, kind: str | None
) -> None:
    monkeypatch.setattr(flushing, "_file_system_of", lambda _: kind)
    store = FileStorage(tmp_path)
    with store.flushed_later():
        store.put("a", b"a")
        store.put("b", b"b")
    store.flush()
    assert flushes.calls == ["fsync"] * 4


def test_the_file_system_of_a_folder_is_known(tmp_path: Path) -> None:
    assert flushing._file_system_of(Path("/proc")) == "proc"
    assert flushing._file_system_of(tmp_path / "missing") is None
