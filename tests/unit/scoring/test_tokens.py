"""When a token is renewed, and who waits for it; time is a number that the tests move."""

import asyncio

import pytest

from maskrelay.errors import EndpointUnavailable
from maskrelay.scoring.statuses import failure
from maskrelay.scoring.tokens import MARGIN_S, NO_TOKEN, RETRY_S, RenewedToken, Token


class Source:
    """Gives t1, t2 … each to be renewed after 100 s and good for 200; fails while `away`, waits while `held`."""

    def __init__(self):
        self.now = 1000.0
        self.asked = 0
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self):
        self.asked += 1
        token = Token(f"t{self.asked}", self.now + 100, self.now + 200)
        await self.open.wait()
        if self.away:
            raise failure(NO_TOKEN)
        return token


def at(steps):
    """Run `steps(source, credential)` on a fresh credential."""

    async def run():
        source = Source()
        return await steps(source, RenewedToken(source, now=lambda: source.now))

    return asyncio.run(run())


async def settled():
    """Let a renewal in the background come to its end."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def test_a_token_is_asked_for_once_and_kept():
    async def steps(source, credential):
        tokens = [await credential.token() for _ in range(3)]
        source.now += 99
        return [*tokens, await credential.token()], source.asked

    assert at(steps) == (["t1"] * 4, 1)


def test_many_that_wait_share_one_request():
    async def steps(source, credential):
        source.open.clear()
        waiting = [asyncio.create_task(credential.token()) for _ in range(20)]
        await asyncio.sleep(0)
        source.open.set()
        return set(await asyncio.gather(*waiting)), source.asked

    assert at(steps) == ({"t1"}, 1)


def test_one_that_is_cancelled_ends_nobody_elses_wait():
    async def steps(source, credential):
        source.open.clear()
        first, second = (asyncio.create_task(credential.token()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.open.set()
        return await second, source.asked

    assert at(steps) == ("t1", 1)


def test_a_token_that_is_due_is_renewed_while_the_old_one_goes_on():
    async def steps(source, credential):
        await credential.token()
        source.now += 100
        meanwhile = [await credential.token() for _ in range(3)]
        await settled()
        return meanwhile, await credential.token(), source.asked

    assert at(steps) == (["t1"] * 3, "t2", 2)


def test_a_source_that_is_away_hurts_nobody_while_the_token_holds_and_is_not_hurried():
    async def steps(source, credential):
        await credential.token()
        source.away = True
        seen = []
        for step in (100, RETRY_S - 1, 1):
            source.now += step
            seen.append(await credential.token())
            await settled()
        return seen, source.asked

    assert at(steps) == (["t1"] * 3, 3)


def test_without_a_token_that_holds_the_failure_is_told():
    async def steps(source, credential):
        await credential.token()
        source.away = True
        source.now += 200 - MARGIN_S
        with pytest.raises(EndpointUnavailable) as caught:
            await credential.token()
        source.away = False
        return caught.value.kind, caught.value.still_working, await credential.token()

    assert at(steps) == ("token", False, "t3")


def test_a_refused_token_is_fetched_anew_once_for_all_who_were_refused():
    async def steps(source, credential):
        old = await credential.token()
        seen = []
        for _ in range(3):
            seen.append(credential.refuse(old))
            seen.append(await credential.token())
        return seen, source.asked

    assert at(steps) == ([True, "t2"] * 3, 2)


def test_a_wait_has_an_end(monkeypatch):
    monkeypatch.setattr("maskrelay.scoring.tokens.PATIENCE_S", 0.01)

    async def steps(source, credential):
        source.open.clear()
        with pytest.raises(EndpointUnavailable) as caught:
            await credential.token()
        source.open.set()
        return caught.value.kind, await credential.token()

    assert at(steps) == ("token", "t1")


def test_a_token_is_not_in_its_own_text():
    assert "s3cret" not in repr(Token("s3cret", 1, 2))
