"""Cancelling a job: the intent is stored before the ledger is asked, and taken back for a job that has ended."""

from pathlib import Path

import pytest

from maskrelay.contract.records import keys
from maskrelay.contract.records.endings import BY_CALLER, BY_DEADLINE
from maskrelay.contract.records.job import JobState
from maskrelay.errors import LedgerUnavailable
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.markers import cancel_intent, cancel_job

JOB = "a" * 26


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


def marked(storage: FileStorage) -> bool:
    return keys.live_cancel(JOB) in set(storage.list(keys.LIVE))


@pytest.mark.parametrize("before", ["accepted", "running", "cancelling", None])
def test_the_intent_is_stored_before_the_ledger_is_asked(storage: FileStorage, before: JobState | None) -> None:
    def move(job: str, reason: str) -> JobState | None:
        intent = cancel_intent(storage, job)
        assert intent is not None
        assert (intent.reason, reason, marked(storage)) == (BY_CALLER, BY_CALLER, True)
        return before

    assert cancel_job(storage, JOB, BY_CALLER, move)
    assert marked(storage)


@pytest.mark.parametrize("before", ["finishing", "succeeded", "failed"])
def test_the_marker_is_taken_back_when_the_job_has_ended(storage: FileStorage, before: JobState) -> None:
    assert not cancel_job(storage, JOB, BY_CALLER, lambda _job, _reason: before)
    assert not marked(storage)


def test_a_job_is_being_cancelled_though_the_ledger_is_away_and_the_first_reason_stays(storage: FileStorage) -> None:
    def away(_job: str, _reason: str) -> JobState | None:
        raise LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        cancel_job(storage, JOB, BY_DEADLINE, away)
    assert marked(storage)
    assert cancel_job(storage, JOB, BY_CALLER, lambda _job, _reason: "cancelling")
    intent = cancel_intent(storage, JOB)
    assert intent is not None
    assert intent.reason == BY_DEADLINE
