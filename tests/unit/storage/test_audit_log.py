"""The writer of the audit log over a folder: what is durable when, and what a store that is away costs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maskrelay.admin.audit_chains import verify
from maskrelay.contract.records import keys
from maskrelay.contract.records.audit_entries import AuditEntry, unsealed
from maskrelay.errors import StorageUnavailable
from maskrelay.storage import audit_chain, audit_log
from maskrelay.storage.audit_log import AuditLog
from maskrelay.storage.file_store import FileStorage
from tests.support.checks.audits import audit_files, entries
from tests.support.drivers.dying_threads import end_thread
from tests.support.servers.simulators import eventually

EVER = "2000-01-01T00"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Failing(FileStorage):
    """A folder that can be away, or write without answering."""

    away = False
    deaf = False
    broken = False

    def create(self, key: str, body: bytes, content_type: str = "") -> None:
        if self.broken:
            raise RuntimeError("what nobody thought of")
        if self.away:
            raise StorageUnavailable("away", reason="away")
        super().create(key, body, content_type)
        if self.deaf:
            raise StorageUnavailable("no answer", reason="deaf")


@pytest.fixture
def storage(tmp_path: Path) -> Failing:
    return Failing(tmp_path)


@pytest.fixture
def log(storage: Failing) -> Iterator[AuditLog]:
    made = AuditLog(storage, "api")
    yield made
    storage.away = storage.deaf = False
    made.close()


def entry(number: int = 0, at: datetime | None = None) -> AuditEntry:
    return AuditEntry(at=at or datetime.now(UTC), did="DELETE /v1/jobs/{job}", status=200 + number)


def test_an_entry_that_is_waited_for_is_in_storage_when_the_wait_is_over(storage: Failing, log: AuditLog) -> None:
    assert log.write_now(entry(1)).result(10)
    assert [one["status"] for one in entries(storage)] == [201]


def test_entries_keep_their_order_and_those_that_come_together_share_a_file(storage: Failing, log: AuditLog) -> None:
    for number in range(50):
        log.write(entry(number))
    assert log.write_now(entry(50)).result(10)
    assert [one["status"] for one in entries(storage)] == [200 + number for number in range(51)]
    assert len(audit_files(storage)) <= 2


def test_an_entry_that_nobody_waits_for_is_written_within_seconds(
    storage: Failing, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "FLUSH_S", 0.01)
    log.write(entry())
    while not entries(storage):
        pass
    assert verify(storage, EVER).entries == 1


def test_a_writer_that_failed_by_an_error_nobody_thought_of_begins_again_with_what_waits(
    storage: Failing, log: AuditLog
) -> None:
    storage.broken = True
    assert log.write_now(entry(1)).result(10) is False
    storage.broken = False
    assert eventually(lambda: [one["status"] for one in entries(storage)] == [201])


def test_a_writer_whose_thread_is_ended_goes_on(storage: Failing, log: AuditLog) -> None:
    assert log.write_now(entry(1)).result(10)
    end_thread(log._thread)
    assert log.write_now(entry(2)).result(10)
    assert [one["status"] for one in entries(storage)] == [201, 202]


def test_the_end_of_the_process_closes_the_file(storage: Failing, log: AuditLog) -> None:
    log.write(entry())
    log.close()
    assert verify(storage, EVER).unclosed == []
    log.close()
    assert len(audit_files(storage)) == 1


def test_an_hour_is_closed_when_the_next_has_begun_also_where_nothing_follows(storage: Failing) -> None:
    log = AuditLog(storage, "api")
    now = datetime.now(UTC)
    for at in (now - timedelta(hours=3), now - timedelta(hours=2), now):
        assert log.write_now(entry(at=at)).result(10)
    seals = [unsealed(storage.get(key))[1] for key in audit_files(storage)]
    assert [seal.closed for seal in seals] == [True, True, False]
    log.close()
    assert verify(storage, EVER).unclosed == []


def test_an_hour_whose_clock_goes_back_stays_in_the_later_hour(storage: Failing, log: AuditLog) -> None:
    late, early = datetime.now(UTC) + timedelta(hours=2), datetime.now(UTC)
    for at in (late, early):
        assert log.write_now(entry(at=at)).result(10)
    assert len({key.split("/")[1] for key in audit_files(storage)}) == 1
    assert verify(storage, EVER).entries == 2


def test_while_storage_is_away_entries_wait_and_nobody_is_held_up(storage: Failing, log: AuditLog) -> None:
    storage.away = True
    assert not log.write_now(entry(1)).result(10)
    assert not log.write_now(entry(2)).result(10)
    storage.away = False
    assert log.write_now(entry(3)).result(10)
    assert [one["status"] for one in entries(storage)] == [201, 202, 203]
    verify(storage, EVER)


def test_a_file_that_was_written_without_an_answer_is_not_written_twice(storage: Failing, log: AuditLog) -> None:
    storage.deaf = True
    assert not log.write_now(entry(1)).result(10)
    storage.deaf = False
    assert log.write_now(entry(2)).result(10)
    assert [one["status"] for one in entries(storage)] == [201, 202]
    assert verify(storage, EVER).files == 2


def test_what_finds_no_room_is_counted_in_the_next_seal(
    storage: Failing, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "KEPT_LINES", 2)
    storage.away = True
    for number in range(5):
        log.write(entry(number))
    storage.away = False
    log.close()
    found = verify(storage, EVER)
    assert (found.entries, found.lost) == (2, 3)


def test_a_strange_file_in_the_way_is_left_alone_and_nothing_is_lost(storage: Failing, log: AuditLog) -> None:
    assert log.write_now(entry(1)).result(10)
    (first,) = audit_files(storage)
    hour, process = first.split("/")[1:3]
    storage.create(keys.audit_file(hour, process, 1), b"strange")
    assert log.write_now(entry(2)).result(10)
    assert storage.get(keys.audit_file(hour, process, 1)) == b"strange"
    strange = keys.audit_file(hour, process, 1)
    lines = [line for key in audit_files(storage) if key != strange for line in unsealed(storage.get(key))[0]]
    assert len(lines) == 2


def test_after_very_many_files_a_process_begins_another_chain_at_the_end_of_an_hour(
    storage: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "FILES_MOST", 2)
    chain = audit_chain.Chain(storage, "worker")
    for closed in (False, False, True, False):
        assert chain.write(chain.next("2026-11-25T09", [b"{}\n"], closed=closed, lost=0))
    processes, numbers = zip(*(key.split("/")[2:] for key in storage.list(keys.AUDIT)), strict=True)
    assert len(set(processes)) == 2
    assert sorted(numbers) == ["000000000.ndjson"] * 2 + ["000000001.ndjson", "000000002.ndjson"]
