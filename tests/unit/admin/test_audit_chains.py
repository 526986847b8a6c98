"""`maskrelay audit` over logs that were tampered with, each in one way."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maskrelay.admin.audit_chains import Break, verify
from maskrelay.client.cli import main
from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import (
    AuditEntry,
    hour_of,
    sealed,
    unsealed,
)
from maskrelay.storage.audit_chain import Chain
from maskrelay.storage.file_store import FileStorage
from tests.support.checks.audits import audit_files

EVER = "2000-01-01T00"
NOW = datetime.now(UTC)
HOURS = [NOW - timedelta(hours=hours) for hours in (3, 2, 1)]


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


@pytest.fixture
def files(storage: FileStorage) -> list[str]:
    """Two processes, three hours of two files each, all closed; the keys of the first process' files in order."""
    for chain in (Chain(storage, "api"), Chain(storage, "worker")):
        for number, at in enumerate(HOURS):
            for half in (False, True):
                chain.write(chain.next(hour_of(at), [line(at, number)], closed=half, lost=0))
    return [key for key in audit_files(storage) if "/api-" in key]


def line(at: datetime, number: int) -> bytes:
    tenant = ("north", "south", "north")[number]
    return AuditEntry(at=at, did="GET /v1/jobs/{job}", tenant=tenant, job="a" * 26).line()


def broken(storage: FileStorage) -> str:
    with pytest.raises(Break) as caught:
        verify(storage, EVER)
    return caught.value.key


def test_a_log_that_is_whole_is_counted(storage: FileStorage, files: list[str]) -> None:
    found = verify(storage, EVER)
    assert (found.files, found.entries, found.processes, found.unclosed) == (12, 12, 2, [])


def test_a_log_that_has_not_begun_is_whole(storage: FileStorage) -> None:
    assert verify(storage, EVER).files == 0


@pytest.mark.parametrize("place", range(5))
def test_a_missing_file_is_named(storage: FileStorage, files: list[str], place: int) -> None:
    storage.delete(files[place])
    assert broken(storage) == files[place]


@pytest.mark.parametrize("place", range(6))
def test_a_changed_line_is_found_in_its_file(storage: FileStorage, files: list[str], place: int) -> None:
    storage.put(files[place], storage.get(files[place]).replace(b"GET", b"PUT"))
    assert broken(storage) == files[place]


@pytest.mark.parametrize("place", range(5))
def test_a_file_that_was_sealed_anew_is_found_by_the_next(storage: FileStorage, files: list[str], place: int) -> None:
    lines, seal = unsealed(storage.get(files[place]))
    storage.put(files[place], sealed([*lines, line(NOW, 0)], seal.before, closed=seal.closed))
    assert broken(storage) == files[place]


def test_a_file_without_its_seal_is_broken(storage: FileStorage, files: list[str]) -> None:
    lines, _ = unsealed(storage.get(files[2]))
    for body in (b"", b"".join(lines)):
        storage.put(files[2], body)
        assert broken(storage) == files[2]


def test_a_file_of_a_strange_name_is_broken(storage: FileStorage, files: list[str]) -> None:
    storage.put("audit/notes", b"")
    assert broken(storage) == "audit/notes"


def test_an_hour_that_was_never_closed_is_a_break_where_its_process_went_on(storage: FileStorage) -> None:
    chain = Chain(storage, "api")
    for at in HOURS:
        chain.write(chain.next(hour_of(at), [line(at, 0)], closed=False, lost=0))
    assert broken(storage) == audit_files(storage)[0]


def test_a_second_beginning_within_a_process_is_a_break(storage: FileStorage, files: list[str]) -> None:
    storage.put(files[3], sealed([line(NOW, 0)], None, closed=True))
    assert broken(storage) == files[3]


def test_what_retention_took_is_not_missing(storage: FileStorage, files: list[str]) -> None:
    for key in audit_files(storage)[:5]:
        storage.delete(key)
    assert verify(storage, hour_of(HOURS[2])).files == 4
    assert broken(storage) in files


def test_files_that_come_while_the_log_is_read_are_no_break(storage: FileStorage) -> None:
    chain, other = Chain(storage, "api"), Chain(storage, "worker")
    chain.write(chain.next(hour_of(HOURS[0]), [line(NOW, 0)], closed=False, lost=0))
    other.write(other.next(hour_of(HOURS[1]), [line(NOW, 0)], closed=True, lost=0))

    class Growing(FileStorage):
        grown = False

        def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
            """The rest of the first hour, and the second, come once the first file was listed."""
            if not self.grown:
                self.grown = True
                for hour, closed in ((0, False), (0, True), (1, False)):
                    chain.write(chain.next(hour_of(HOURS[hour]), [line(NOW, 0)], closed=closed, lost=0))
            return super().get(key, start, length)

    growing = Growing(storage._root)
    found = verify(growing, EVER)
    assert (found.files, found.unclosed) == (3, [audit_files(storage)[-2]])


@pytest.fixture
def command(storage: FileStorage, monkeypatch: pytest.MonkeyPatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """The `maskrelay` command's exit code and what it wrote."""
    monkeypatch.setenv("MASKRELAY_REDIS_URL", "redis://127.0.0.1:9/0")
    monkeypatch.setenv("MASKRELAY_SERVER_KEY", "a server key of the tests, long enough")
    monkeypatch.setenv("MASKRELAY_STORAGE_URL", storage._root.as_uri())

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["audit", *arguments])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def test_the_command_says_that_all_is_whole(command, files: list[str]) -> None:
    assert command("verify") == (0, "12 files, 12 entries, 2 processes, 0 open\n", "")


def test_the_command_names_the_first_break_and_ends_with_1(command, storage: FileStorage, files: list[str]) -> None:
    for place in (4, 1):
        storage.delete(files[place])
    code, out, err = command("verify")
    assert (code, out) == (1, "")
    assert err == f"maskrelay: {files[1]}: missing\n"


def test_a_process_that_died_is_a_note_and_one_that_runs_is_none(command, storage: FileStorage) -> None:
    # its hour is the next one, so that none ends between here and the command
    for at in (HOURS[0], datetime.now(UTC) + timedelta(hours=1)):
        chain = Chain(storage, "api")
        chain.write(chain.next(hour_of(at), [line(at, 0)], closed=False, lost=0))
    code, out, _ = command("verify")
    dead = audit_files(storage)[0]
    assert code == 0
    assert out.splitlines() == [
        f"note: {dead}: its process ended without closing the file; the last entries may be missing",
        "2 files, 2 entries, 2 processes, 1 open",
    ]


def test_entries_are_shown_by_job_tenant_and_hour(command, files: list[str]) -> None:
    code, out, _ = command("show")
    shown = [json.loads(one) for one in out.splitlines()]
    assert code == 0
    assert len(shown) == 12
    assert len(command("show", "--tenant", "south")[1].splitlines()) == 4
    assert len(command("show", "--job", "a" * 26, "--since", hour_of(HOURS[2]))[1].splitlines()) == 4
    assert command("show", "--job", "b" * 26)[1] == ""
    assert keys.AUDIT_FILE.fullmatch(files[0])
