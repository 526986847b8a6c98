"""Fixtures of the tests of the client and its commands."""

from collections.abc import Callable

import pytest

from tests.unit.client.services import Service


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Service], None]:
    """Return a function after which the commands call this service."""

    def use(one: Service) -> None:
        monkeypatch.setenv("MASKRELAY_URL", one.url)
        monkeypatch.setenv("MASKRELAY_API_KEY", "k")

    return use
