"""An operator of a stand-in of Azure, for the tests of `maskrelay endpoint`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.azures import Operator
from tests.support.servers.control_plane import running_azure


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Operator]:
    with running_azure() as azure:
        yield Operator(azure, tmp_path)
