"""A stack that most of the tests share, and an operator of a stand-in of Azure, for those of `maskrelay endpoint`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.azures import Operator
from tests.support.servers.control_plane import running_azure
from tests.support.servers.stacks import RunningStack, running_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The stack with its defaults. A test that ends a process of it starts it again."""
    with running_stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Operator]:
    with running_azure() as azure:
        yield Operator(azure, tmp_path)
