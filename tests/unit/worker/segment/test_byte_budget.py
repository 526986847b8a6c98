"""Memory that frames share."""

import asyncio
import random

import pytest

from worker.segment.byte_budget import ByteBudget


def test_no_more_is_taken_than_there_is_whoever_comes_and_goes() -> None:
    async def run() -> int:
        budget, held, most = ByteBudget(100), 0, 0
        rng = random.Random(1)

        async def take(amount: int) -> None:
            nonlocal held, most
            async with budget.of(amount):
                held += min(amount, 100)
                most = max(most, held)
                await asyncio.sleep(0)
                held -= min(amount, 100)

        tasks = [asyncio.create_task(take(rng.randint(1, 130))) for _ in range(300)]
        for task in rng.sample(tasks, 60):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
        assert budget.try_take(100)
        return most

    assert asyncio.run(run()) <= 100


def test_who_asks_for_much_is_not_overtaken_by_those_who_ask_for_little() -> None:
    async def run() -> list[str]:
        budget, served = ByteBudget(10), []

        async def take(name: str, amount: int) -> None:
            async with budget.of(amount):
                served.append(name)

        assert budget.try_take(6)
        large = asyncio.create_task(take("large", 10))
        await asyncio.sleep(0)
        small = asyncio.create_task(take("small", 1))
        await asyncio.sleep(0)
        assert not budget.try_take(1)
        budget.release(6)
        await asyncio.wait_for(asyncio.gather(large, small), 30)
        return served

    assert asyncio.run(run()) == ["large", "small"]


@pytest.mark.parametrize("granted", [False, True])
def test_who_is_cancelled_while_waiting_holds_nothing(granted: bool) -> None:
    async def run() -> bool:
        budget = ByteBudget(10)
        assert budget.try_take(10)
        waiting = asyncio.create_task(budget.take(4))
        await asyncio.sleep(0)
        if granted:
            budget.release(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0)
        if not granted:
            budget.release(10)
        return budget.try_take(10)

    assert asyncio.run(run())
