"""Which environment `maskrelay doctor` checks."""

import os
from pathlib import Path

from maskrelay.admin.checks.surroundings import surroundings
from maskrelay.local_stack import NAME, LocalStack

MADE = {"MASKRELAY_REDIS_URL": "redis://made", "MASKRELAY_STORAGE_URL": "file:///made"}


def record(folder: Path, supervisor: int) -> dict[str, str]:
    (folder / NAME).write_text(LocalStack(supervisor, MADE, ("MASKRELAY_ENDPOINT_URL",)).text())
    return {"DATA": str(folder)}


def test_a_process_of_the_service_is_checked_with_its_own_environment(tmp_path: Path) -> None:
    own = record(tmp_path, os.getpid()) | {"MASKRELAY_REDIS_URL_FILE": "/run/url"}
    assert surroundings(own, has_client=True).environment == own


def test_beside_a_stack_its_settings_are_used_and_those_given_to_it_are_named(tmp_path: Path) -> None:
    own = record(tmp_path, os.getpid())
    here = surroundings(own, has_client=False)
    assert here.environment == {**MADE, **own}
    assert [(one.check, one.state) for one in here.findings] == [("stack", "ok"), ("stack settings", "skip")]
    assert "MASKRELAY_ENDPOINT_URL" in here.findings[1].said
    own["MASKRELAY_ENDPOINT_URL"] = "http://endpoint"
    assert [one.check for one in surroundings(own, has_client=False).findings] == ["stack"]


def test_the_record_of_a_dead_stack_does_not_count(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    own = record(tmp_path, child)
    assert surroundings(own, has_client=True).environment is None
    assert surroundings(own, has_client=False).environment == own


def test_a_record_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    for text in ("", "[]", '{"supervisor": 1}'):
        (tmp_path / NAME).write_text(text)
        assert surroundings({"DATA": str(tmp_path)}, has_client=True).environment is None
