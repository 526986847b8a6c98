"""Each fault test tells what it broke and when that was over; what came of it is a row of
docs/explanation/reliability.md.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.reliability_page import Row, write_rows
from tests.support.drivers.stack_behind_proxies import Scene

_ROWS = pytest.StashKey[list[Row]]()


@dataclass
class Fault:
    """What a test says of its own fault. Recovery is counted from `over`."""

    scenario: str
    broken: str = ""
    _over: float | None = None
    row: Row | None = None

    def breaks(self, what: str) -> None:
        self.broken = what

    def over(self) -> None:
        """The fault has ended: what was away is back, what was killed has been started again."""
        self._over = time.monotonic()

    def survived(self, scored_again: int) -> None:
        """The check has passed."""
        assert self.broken
        assert self._over is not None
        self.row = Row(self.scenario, self.broken, scored_again, time.monotonic() - self._over)


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Fault]:
    told = Fault(_scenario(request.node.name))
    yield told
    if told.row is not None:
        request.config.stash.setdefault(_ROWS, []).append(told.row)


def _scenario(name: str) -> str:
    """The test's name as a sentence; of a row of a table, what the row is about."""
    sentence, _, which = name.removeprefix("test_").partition("[")
    return sentence.replace("_", " ") + (f": {which.removesuffix(']')}" if which else "")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    page, rows = os.environ.get("FAULTS_PAGE"), session.config.stash.get(_ROWS, [])
    if page and rows and exitstatus == 0:
        write_rows(Path(page), rows)


@pytest.fixture
def running(shared: Scene) -> Scene:
    """The scene of the test's file, begun anew."""
    shared.begin()
    return shared
