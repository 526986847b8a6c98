"""Local copies of sources: what is made of them, what is not, and what is left."""

import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from maskrelay.errors import SourceTooLarge, StorageUnavailable, Truncated
from maskrelay.imaging.read.nifti_slices import read_facts_of, walk_volume
from maskrelay.storage.file_store import FileStorage
from worker.context.local_copies import remove_leftovers
from worker.context.source_cache import SourceCache, begin_of

LIMITS = {"max_bytes": 1 << 20, "most_bytes": 1 << 20}
#: Takes a copy, says so, and waits to be killed.
HOLDER = """
import sys, time, pathlib
from maskrelay.storage.file_store import FileStorage
from worker.context.source_cache import SourceCache
sources = SourceCache(FileStorage(pathlib.Path(sys.argv[1])), max_bytes=1 << 20, most_bytes=1 << 20)
with sources.file("uploads/a", None, "tiff") as path:
    print(path.parent, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStorage:
    (tmp_path / "store").mkdir()
    (tmp_path / "copies").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return FileStorage(tmp_path / "store")


def volume(values: np.ndarray) -> bytes:
    return gzip.compress(nibabel.Nifti1Image(values, np.eye(4)).to_bytes())


def copies() -> list[Path]:
    return [path for path in Path(tempfile.gettempdir()).iterdir() if path.is_dir()]


def test_a_header_is_read_without_a_copy_and_without_the_rest(storage: FileStorage) -> None:
    storage.create("uploads/a", volume(np.zeros((64, 64, 500), np.int16)), "application/gzip")
    sources = SourceCache(storage, **LIMITS)
    assert read_facts_of(begin_of(sources.unpacked("uploads/a", None))).shape == (64, 64, 500)
    assert copies() == []
    with pytest.raises(SourceTooLarge):
        list(sources.unpacked("uploads/a", None))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_the_values_of_one_volume_come_as_they_are_stored(storage: FileStorage, kind: type) -> None:
    values = np.random.default_rng(5).integers(0, 200, (30, 20, 10, 3)).astype(kind)
    storage.create("uploads/a", volume(values), "application/gzip")
    sources = SourceCache(storage, **LIMITS)
    facts = read_facts_of(begin_of(sources.unpacked("uploads/a", None)))
    for number in range(3):
        planes: Iterator = walk_volume(sources.unpacked("uploads/a", None), facts, number)
        walked = np.concatenate([plane.values.ravel() for plane in planes])
        assert np.array_equal(walked, values[..., number].ravel("F"))
    short = sources.unpacked("uploads/a", None)
    with pytest.raises(Truncated):
        list(walk_volume(iter([b"".join(short)[:-1]]), facts, 2))
    assert copies() == []


def test_copies_go_with_their_reader(storage: FileStorage) -> None:
    storage.create("uploads/a", b"pages", "image/tiff")
    sources = SourceCache(storage, **LIMITS)
    with sources.file("uploads/a", None, "tiff") as path:
        assert path.read_bytes() == b"pages"
    assert len(copies()) == 1
    sources.close()
    assert copies() == []


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_is_not(storage: FileStorage) -> None:
    storage.create("uploads/a", b"pages", "image/tiff")
    root = str(Path(tempfile.gettempdir()).parent / "store")
    command = [sys.executable, "-c", HOLDER, root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        remove_leftovers()
        assert folder.is_dir()
        holder.kill()
        holder.wait(30)
    remove_leftovers()
    assert not folder.exists()


def test_the_copies_of_all_readers_stay_within_their_space_and_one_waits_for_room(storage: FileStorage) -> None:
    for name in "abc":
        storage.create(f"uploads/{name}", name.encode() * (20 << 20), "image/tiff")
    bounds = {"max_bytes": 1 << 30, "most_bytes": 1 << 30, "space_bytes": 60 << 20}
    one, other = SourceCache(storage, **bounds), SourceCache(storage, **bounds)
    with one.file("uploads/a", None, "tiff") as first:
        with other.file("uploads/b", None, "tiff"):
            assert first.stat().st_size == 20 << 20
        with (
            one.file("uploads/a", None, "tiff"),
            pytest.raises(StorageUnavailable),
            one.file("uploads/c", None, "tiff"),
        ):
            pass
        assert sum(file.stat().st_size for folder in copies() for file in folder.iterdir()) == 40 << 20
        with other.file("uploads/c", None, "tiff") as third:  # its copy of b, which nobody reads, makes room
            assert third.read_bytes() == b"c" * (20 << 20)
    other.drop_unused()
    with one.file("uploads/b", None, "tiff") as second:
        assert second.stat().st_size == 20 << 20
    for sources in (one, other):
        sources.close()
    assert copies() == []


def test_a_source_that_is_larger_than_all_the_space_is_refused(storage: FileStorage) -> None:
    storage.create("uploads/a", bytes(20 << 20), "image/tiff")
    sources = SourceCache(storage, max_bytes=1 << 30, most_bytes=1 << 30, space_bytes=17 << 20)
    with pytest.raises(SourceTooLarge), sources.file("uploads/a", None, "tiff"):
        pass
    sources.close()
    assert copies() == []


def test_what_a_killed_process_left_makes_room(storage: FileStorage) -> None:
    storage.create("uploads/a", bytes(20 << 20), "image/tiff")
    root = str(Path(tempfile.gettempdir()).parent / "store")
    holder = HOLDER.replace("1 << 20", "1 << 30")
    with subprocess.Popen([sys.executable, "-c", holder, root], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
        killed.wait(30)
    sources = SourceCache(storage, max_bytes=1 << 30, most_bytes=1 << 30, space_bytes=37 << 20)
    with sources.file("uploads/a", None, "tiff") as path:
        assert path.stat().st_size == 20 << 20
    sources.close()
