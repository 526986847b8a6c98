"""Decoders shared among tenants: by the seconds that their files take."""

import asyncio
import random
from collections.abc import Iterable

from worker.segment.decoders import Decoders


class Clock:
    """Moves on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def served(decoders: Decoders, clock: Clock, files: Iterable[str], late: Iterable[str] = ()) -> list[str]:
    """The order in which files called `tenant-number` are decoded, a second each; `late` come during the first."""
    order: list[str] = []
    everyone_waits = asyncio.Event()

    async def decode(name: str) -> None:
        async with decoders.place(name.partition("-")[0]):
            order.append(name)
            await everyone_waits.wait()
            clock.now += 1

    tasks = [asyncio.create_task(decode(name)) for name in files]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(decode(name)) for name in late]
    await asyncio.sleep(0)
    everyone_waits.set()
    await asyncio.gather(*tasks)
    return order


def test_one_tenants_backlog_does_not_stand_before_anothers_picture() -> None:
    backlog = [f"many-{number}" for number in range(6)]
    clock = Clock()
    order = asyncio.run(served(Decoders(1, clock), clock, backlog, ["one-0"]))
    assert order == ["many-0", "one-0", *backlog[1:]]


def test_tenants_with_backlogs_take_turns_and_nobody_is_owed_for_the_time_without_files() -> None:
    async def both() -> list[str]:
        decoders = Decoders(1, clock := Clock())
        await served(decoders, clock, ["many-a", "many-b", "many-c"])
        return await served(decoders, clock, [f"many-{n}" for n in range(4)], [f"few-{n}" for n in range(4)])

    expected = ["many-0", "few-0", "many-1", "few-1", "many-2", "few-2", "many-3", "few-3"]
    assert asyncio.run(both()) == expected


def test_no_more_run_than_there_are_places_whoever_gives_up() -> None:
    async def run() -> int:
        decoders, running, most = Decoders(2), 0, 0
        rng = random.Random(3)

        async def decode(tenant: str) -> None:
            nonlocal running, most
            async with decoders.place(tenant):
                running += 1
                most = max(most, running)
                try:
                    await asyncio.sleep(0)
                finally:
                    running -= 1

        tasks = [asyncio.create_task(decode(rng.choice("abc"))) for _ in range(200)]
        for task in rng.sample(tasks, 60):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
        await asyncio.wait_for(decode("d"), 30)
        assert running == 0
        return most

    assert asyncio.run(run()) == 2


def test_seconds_are_told_when_they_are_whole() -> None:
    async def run() -> list[int]:
        decoders, told = Decoders(1, clock := Clock()), []
        for seconds in (0.75, 2.5, 0.0):
            async with decoders.place("north"):
                clock.now += seconds
            told.append(decoders.whole_seconds("north"))
        return told

    assert asyncio.run(run()) == [0, 3, 0]
