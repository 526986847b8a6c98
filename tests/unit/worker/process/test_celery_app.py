"""What a worker needs of its machine before it starts."""

import multiprocessing

import pytest

from maskrelay.errors import SettingsError
from worker.process.celery_app import _shared_event


def test_a_machine_without_shared_memory_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(multiprocessing.get_context("fork"), "Event", refused)
    with pytest.raises(SettingsError, match="/dev/shm"):
        _shared_event()
