"""Bells over a real Valkey: who listens hears at once, and hears again after Redis was away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from maskrelay.ledger.notifications import Bell
from tests.support.drivers.ledger_jobs import conclude, finishing_job, running_job
from tests.support.servers.valkeys import RunningValkey, running_valkey

LONG = 20


@pytest.fixture
def valkey() -> Iterator[RunningValkey]:
    with running_valkey() as running:
        yield running


@contextlib.asynccontextmanager
async def _listening(valkey: RunningValkey, bell: Bell) -> AsyncIterator["asyncio.Queue[str]"]:
    """Every word that is heard, from a listener that is known to listen."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(valkey.ledger().notifications.listen(bell, heard.put_nowait))
    try:
        await _until_heard(valkey, bell, heard)
        yield heard
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _until_heard(valkey: RunningValkey, bell: Bell, heard: "asyncio.Queue[str]") -> None:
    """Ring until somebody listens, and take that ring."""
    await asyncio.to_thread(_ring_until_heard, valkey, bell)
    assert await asyncio.wait_for(heard.get(), LONG) == "trial"


def _ring_until_heard(valkey: RunningValkey, bell: Bell) -> None:
    while not valkey.client.publish(f"mr:bell:{bell}", "trial"):
        pass


def test_frames_that_can_be_claimed_are_announced(valkey: RunningValkey) -> None:
    async def listen() -> str:
        async with _listening(valkey, "frames") as heard:
            running_job(valkey.ledger(), "job-a", 2)
            return await asyncio.wait_for(heard.get(), LONG)

    assert asyncio.run(listen()) == "job-a"


def test_the_end_of_a_job_is_announced_once_it_is_known(valkey: RunningValkey) -> None:
    ledger = valkey.ledger()

    async def listen() -> list[str]:
        async with _listening(valkey, "ended") as heard:
            for job in ("job-a", "job-b"):
                finishing_job(ledger, job, 1)
                conclude(ledger, job)
                conclude(ledger, job)
            words = [await asyncio.wait_for(heard.get(), LONG) for _ in range(2)]
            assert heard.empty()
            return words

    assert asyncio.run(listen()) == ["job-a", "job-b"]


def test_a_listener_hears_again_after_redis_was_away(valkey: RunningValkey) -> None:
    async def listen() -> str:
        async with _listening(valkey, "ended") as heard:
            await asyncio.to_thread(valkey.restart)
            await _until_heard(valkey, "ended", heard)
            finishing_job(valkey.ledger(), "job-a", 1)
            conclude(valkey.ledger(), "job-a")
            return await asyncio.wait_for(heard.get(), LONG)

    assert asyncio.run(listen()) == "job-a"
