"""When an issuer's keys are fetched, and how long they count; the clock is the test's."""

from collections.abc import Iterator

import anyio
import pytest

from api.auth import jwks
from api.auth.jwks import IssuerKeys
from maskrelay.errors import IssuerUnavailable, SettingsError
from tests.support.servers.issuers import (
    OTHER_RSA_KEY,
    Issuer,
    issuer,
    public_jwk,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trusted() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


def test_an_unknown_key_is_looked_for_again_and_no_more_often_than_the_pause(trusted: Issuer) -> None:
    async def run() -> None:
        clock = Clock()
        keys = IssuerKeys(trusted.url, clock)
        assert await keys.key("rsa") is not None
        for number in range(20):
            assert await keys.key(f"forged-{number}") is None
        assert trusted.fetches() == 1
        trusted.keys.append(public_jwk(OTHER_RSA_KEY, "new"))
        clock.now += jwks.LEAST_PAUSE_S + 1
        assert await keys.key("new") is not None
        assert trusted.fetches() == 2

    anyio.run(run)


def test_a_withdrawn_key_ends_when_the_keys_are_no_longer_fresh(trusted: Issuer) -> None:
    async def run() -> None:
        clock = Clock()
        keys = IssuerKeys(trusted.url, clock)
        assert await keys.key("rsa") is not None
        trusted.keys.pop(0)
        clock.now += jwks.FRESH_S + 1
        assert await keys.key("rsa") is None
        assert await keys.key("ec") is not None

    anyio.run(run)


def test_kept_keys_outlast_an_outage_for_an_hour(trusted: Issuer) -> None:
    async def run() -> None:
        clock = Clock()
        keys = IssuerKeys(trusted.url, clock)
        assert await keys.key("rsa") is not None
        trusted.status = 500
        clock.now += jwks.LASTING_S - 1
        assert await keys.key("rsa") is not None
        with pytest.raises(IssuerUnavailable):
            await keys.key("unknown")
        clock.now += 2
        with pytest.raises(IssuerUnavailable):
            await keys.key("rsa")
        trusted.status = 200
        clock.now += jwks.LEAST_PAUSE_S + 1
        assert await keys.key("rsa") is not None

    anyio.run(run)


def test_callers_at_the_same_time_wait_for_one_fetch(trusted: Issuer) -> None:
    async def run() -> None:
        keys = IssuerKeys(trusted.url, Clock())
        found = []

        async def ask() -> None:
            found.append(await keys.key("rsa"))

        async with anyio.create_task_group() as asking:
            for _ in range(30):
                asking.start_soon(ask)
        assert len(found) == 30
        assert None not in found
        assert trusted.fetches() == 1

    anyio.run(run)


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://127.0.0.1", "issuer.example", ""])
def test_an_issuer_on_a_plain_path_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="MASKRELAY_OIDC_ISSUER"):
        IssuerKeys(url)
