"""What a killed writer leaves in a file store goes; what a living one writes stays; folders go with their objects."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maskrelay.errors import ObjectMissing
from maskrelay.storage import leftovers
from maskrelay.storage.file_store import FileStorage

LONG_AFTER = timedelta(days=400)
WRITER = """
import sys, pathlib, time
from maskrelay.storage.file_store import FileStorage
writer = FileStorage(pathlib.Path(sys.argv[1])).writer("uploads/north/" + "a" * 26)
writer.write(b"x" * 100)
print("written", flush=True)
time.sleep(600)
"""


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def folders(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir())


def tidied(storage: FileStorage, after: timedelta = timedelta(0), most: int = 1000) -> int:
    """How many leftovers go when the storage is looked through so long from now."""
    now = datetime.now(UTC) + after
    removed, place, more = 0, "", True
    while more:
        place, gone = storage.remove_leftovers(place, most, now)
        removed, more = removed + gone, bool(place)
    return removed


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


def test_what_a_killed_writer_left_goes_at_once_and_what_a_living_one_writes_stays(
    tmp_path: Path, storage: FileStorage
) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert len(files(tmp_path)) == 1
        assert tidied(storage, LONG_AFTER) == 0
        child.kill()
        child.wait()
        assert tidied(storage) == 1
    assert files(tmp_path) == []
    assert folders(tmp_path) == ["uploads", "uploads/north"]


def test_a_file_of_another_machine_goes_when_it_is_old(
    tmp_path: Path, storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put("jobs/a/x", b"")
    other = tmp_path / "jobs" / "a" / f"~{'0' * 24}"
    other.write_bytes(b"x")
    assert tidied(storage, timedelta(minutes=59)) == 0
    assert tidied(storage, timedelta(minutes=61)) == 1
    assert list(storage.list("")) == ["jobs/a/x"]


def test_other_files_are_left_alone(tmp_path: Path, storage: FileStorage) -> None:
    for name in ("~notes", "notes~", f"~{'0' * 23}", f"~{'g' * 24}"):
        (tmp_path / "jobs").mkdir(exist_ok=True)
        (tmp_path / "jobs" / name).write_bytes(b"x")
    (tmp_path / "jobs" / f"~{'1' * 24}").symlink_to(tmp_path / "jobs" / "~notes")
    before = files(tmp_path)
    assert tidied(storage, LONG_AFTER) == 0
    assert files(tmp_path) == before


def test_folders_go_with_their_last_object_but_for_the_first_level(tmp_path: Path, storage: FileStorage) -> None:
    for key in ("jobs/a/b/c/x", "jobs/a/y", "live/z"):
        storage.put(key, b"")
    storage.delete("jobs/a/b/c/x")
    assert folders(tmp_path) == ["jobs", "jobs/a", "live"]
    storage.delete("jobs/a/y")
    storage.delete("live/z")
    assert folders(tmp_path) == ["jobs", "live"]
    storage.delete("jobs/a/y")
    with pytest.raises(ObjectMissing):
        storage.get("jobs/a/y")


def test_empty_folders_of_before_go_a_few_at_a_time(tmp_path: Path, storage: FileStorage) -> None:
    for number in range(7):
        (tmp_path / "jobs" / str(number) / "artifacts" / "0").mkdir(parents=True)
    storage.put("jobs/3/x", b"")
    assert tidied(storage, most=2) == 0
    assert folders(tmp_path) == ["jobs", "jobs/3"]


def test_objects_are_created_while_folders_are_removed(tmp_path: Path, storage: FileStorage) -> None:
    """Each thread makes and deletes objects of its own in folders that they share."""
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(150):
                key = f"jobs/a/{number % 2}/{name}"
                storage.create(key, name.encode())
                assert storage.get(key) == name.encode()
                tidied(storage)
                storage.delete(key)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert files(tmp_path) == []


def test_a_temporary_file_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, storage: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, taken = leftovers.claim, []

    def too_late(file: int) -> bool:
        if not taken:
            taken.append(file)
            [left] = tmp_path.rglob("~*")
            left.unlink()
            left.parent.rmdir()
        return claim(file)

    monkeypatch.setattr("maskrelay.storage.file_writer.claim", too_late)
    storage.create("jobs/a/x", b"x")
    assert storage.get("jobs/a/x") == b"x"
