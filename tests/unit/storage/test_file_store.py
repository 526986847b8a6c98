import errno
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.storage import flushing, folders
from maskrelay.storage.file_store import FileStorage

# Written by a child whose files may not grow past 4096 bytes: what a full disk does, without one.
FULL_DISK = """
import resource, sys
from pathlib import Path
from maskrelay.errors import StorageUnavailable
from maskrelay.storage.file_store import FileStorage
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
storage = FileStorage(Path(sys.argv[1]))
for write in (storage.create, storage.put):
    try:
        write("folder/key", bytes(100_000))
    except StorageUnavailable as error:
        print(error)
"""


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture(params=["one call", "folder by folder"])
def storage(root, request, monkeypatch):
    if request.param == "folder by folder":
        monkeypatch.setattr(folders, "has_openat2", lambda: False)
    return FileStorage(root)


def open_descriptors():
    return sum(1 for _ in Path("/dev/fd").iterdir())


def files_below(root):
    return [path.name for path in root.rglob("*") if not path.is_dir()]


def test_a_planted_folder_link_is_not_followed(storage, root, outside):
    (root / "jobs").symlink_to(outside)
    with pytest.raises(ObjectMissing):
        storage.get("jobs/secret")
    for write in (storage.create, storage.put):
        with pytest.raises(KeyInvalid):
            write("jobs/new", b"x")
        with pytest.raises(KeyInvalid):
            write("jobs/deeper/new", b"x")
    storage.delete("jobs/secret")
    assert list(storage.list("")) == list(storage.list("jobs/")) == []
    assert files_below(outside) == ["secret"]


def test_a_planted_file_link_is_not_followed(storage, root, outside):
    (root / "a").symlink_to(outside / "secret")
    with pytest.raises(ObjectMissing):
        storage.get("a")
    with pytest.raises(ObjectExists):
        storage.create("a", b"x")
    storage.put("a", b"mine")
    assert storage.get("a") == b"mine"
    assert (outside / "secret").read_bytes() == b"secret"


def test_the_root_itself_may_be_a_link(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    FileStorage(tmp_path / "link").put("a/b", b"x")
    assert FileStorage(root).get("a/b") == b"x"


def test_a_planted_pipe_holds_nobody(storage, root):
    os.mkfifo(root / "pipe")
    with pytest.raises(ObjectMissing):
        storage.get("pipe")
    assert list(storage.list("")) == []


def test_a_file_in_the_place_of_a_folder_refuses_keys_below_it(storage):
    storage.put("a", b"x")
    with pytest.raises(KeyInvalid):
        storage.create("a/b", b"y")
    storage.put("c/d", b"x")
    with pytest.raises(KeyInvalid):
        storage.put("c", b"y")
    assert storage.get("c/d") == b"x"


def test_an_object_under_way_is_neither_listed_nor_readable(storage, root):
    with storage.writer("a/b") as writer:
        writer.write(b"half")
        (name,) = files_below(root)
        assert list(storage.list("")) == []
        with pytest.raises(KeyInvalid):
            storage.get(f"a/{name}")


def test_a_file_among_those_of_another_program_needs_its_folder(storage, root):
    (root / "a b").mkdir()
    with storage.writer_at("a b/ä.png") as writer:
        writer.write(b"x")
        writer.commit()
    assert (root / "a b" / "ä.png").read_bytes() == b"x"
    for missing in (storage, FileStorage(root / "none")):
        with pytest.raises(StorageUnavailable) as caught:
            missing.writer_at("c/d.png")
        assert caught.value.reason == "folder_missing"
    assert [path.name for path in root.iterdir()] == ["a b"]


def test_nothing_is_left_beside_the_objects(storage, root):
    storage.create("a/b", b"1")
    with pytest.raises(ObjectExists):
        storage.create("a/b", b"2")
    storage.put("a/b", b"3")
    with storage.writer("a/c") as writer:
        writer.write(b"4")
    assert files_below(root) == ["b"]


def test_a_writer_lets_go_of_its_descriptors(storage):
    before = open_descriptors()
    for _ in range(20):
        storage.put("a/b/c", b"x")
        storage.get("a/b/c")
        storage.delete("a/b/c")
        list(storage.list(""))
        storage.put("a/b/c", b"y")
        storage.stream("a/b/c")  # dropped unread
    assert open_descriptors() == before


def test_others_on_the_machine_see_nothing(storage, root):
    storage.create("a/b", b"x")
    for path in (root / "a", root / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_a_full_disk_is_an_unavailable_store_and_leaves_nothing(storage, root):
    child = subprocess.run([sys.executable, "-c", FULL_DISK, str(root)], capture_output=True, text=True, check=True)
    assert child.stdout.splitlines() == ["The object store cannot be used (EFBIG)."] * 2
    assert files_below(root) == []
    with pytest.raises(ObjectMissing):
        storage.get("folder/key")


def test_a_root_that_is_a_file_is_unavailable(root):
    (root / "file").write_bytes(b"")
    storage = FileStorage(root / "file")
    with pytest.raises(StorageUnavailable, match="ENOTDIR"):
        storage.get("a")
    with pytest.raises(StorageUnavailable, match="ENOTDIR"):
        storage.put("a", b"")


def test_a_link_that_succeeded_and_is_reported_as_taken_counts_as_success(storage, root, monkeypatch):
    """What a network file system does when the answer is lost and the call repeated."""
    link = os.link

    def link_then_repeat(*places, **options):
        link(*places, **options)
        link(*places, **options)

    monkeypatch.setattr(os, "link", link_then_repeat)
    storage.create("a", b"mine")
    assert storage.get("a") == b"mine"
    with pytest.raises(ObjectExists):
        storage.create("a", b"other")
    assert files_below(root) == ["a"]


def test_a_store_that_cannot_make_itself_durable_does_not_say_it_did(storage, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    for write in (storage.create, storage.put):
        with pytest.raises(StorageUnavailable, match="EIO"):
            write("a", b"x")
    assert list(storage.list("")) == []


def test_a_store_that_cannot_flush_several_objects_does_not_say_it_did(storage, monkeypatch):
    def fail(_folder):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(flushing, "_file_system_of", lambda _: "ext4")
    monkeypatch.setattr(flushing, "flush_file_system", fail)
    with pytest.raises(StorageUnavailable, match="EIO"):
        storage.put_all({"a/1": b"x", "b/2": b"y"})


@pytest.mark.parametrize(("release", "file_system"), [("4.18.0-553.el8", "ext4"), ("6.1.0-13-amd64", "nfs4")])
def test_several_objects_are_flushed_one_by_one_where_a_file_system_cannot_be_flushed(
    storage, monkeypatch, release, file_system
):
    monkeypatch.setattr(platform, "release", lambda: release)
    monkeypatch.setattr(flushing, "_file_system_of", lambda _: file_system)
    monkeypatch.setattr(flushing, "flush_file_system", None)
    storage.put_all({"a/1": b"x", "b/2": b"y"})
    assert {key: storage.get(key) for key in storage.list("")} == {"a/1": b"x", "b/2": b"y"}
