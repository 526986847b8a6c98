"""Blocking calls beside an event loop."""

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest

from worker.segment.event_loop import LoopExecutor


def running(steps, most: int = 2):
    """What `steps` comes to on a loop whose default executor is ours."""

    async def run():
        asyncio.get_running_loop().set_default_executor(LoopExecutor(most, "test"))
        return await asyncio.wait_for(steps(), 30)

    return asyncio.run(run())


def test_calls_are_made_in_threads_and_answered_with_their_values():
    async def steps():
        names = await asyncio.gather(*(asyncio.to_thread(lambda: threading.current_thread().name) for _ in range(50)))
        return names, await asyncio.to_thread(divmod, 17, 5)

    names, value = running(steps)
    assert set(names) <= {"test_0", "test_1"}
    assert value == (3, 2)


def test_no_more_calls_are_made_at_once_than_there_are_threads_and_that_many_are():
    barrier, at_once, most, lock = threading.Barrier(3), 0, 0, threading.Lock()

    def call():
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        barrier.wait(20)
        with lock:
            at_once -= 1

    async def steps():
        await asyncio.gather(*(asyncio.to_thread(call) for _ in range(12)))

    running(steps, most=3)
    assert most == 3


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_what_a_call_raises_is_raised_where_it_is_awaited_and_the_thread_goes_on(error):
    def fails():
        raise error

    async def steps():
        with pytest.raises(type(error)) as raised:
            await asyncio.to_thread(fails)
        return raised.value, await asyncio.to_thread(len, "four")

    assert running(steps, most=1) == (error, 4)


def test_a_call_that_is_cancelled_before_its_turn_is_not_made():
    made, go = [], threading.Event()

    async def steps():
        first = asyncio.create_task(asyncio.to_thread(go.wait, 20))
        waiting = asyncio.create_task(asyncio.to_thread(made.append, "waiting"))
        await asyncio.sleep(0)
        waiting.cancel()
        go.set()
        await asyncio.gather(first, waiting, return_exceptions=True)
        await asyncio.to_thread(made.append, "last")

    running(steps, most=1)
    assert made == ["last"]


def test_a_call_that_is_cancelled_while_it_is_made_troubles_no_other():
    begun, go = threading.Event(), threading.Event()

    def call():
        begun.set()
        return go.wait(20)

    async def steps():
        task = asyncio.create_task(asyncio.to_thread(call))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        return await asyncio.gather(*(asyncio.to_thread(int, str(number)) for number in range(10)))

    assert running(steps) == list(range(10))


class Pixels:
    def fail(self):
        raise ValueError


@pytest.mark.parametrize("call", [id, Pixels.fail])
def test_nothing_is_kept_of_what_a_call_was_given(call):
    async def steps():
        pixels = Pixels()
        kept = weakref.ref(pixels)
        with contextlib.suppress(ValueError):
            await asyncio.to_thread(call, pixels)
        del pixels
        await asyncio.to_thread(int)
        return kept()

    gc.disable()  # what only the collector would find is kept, too
    try:
        assert running(steps, most=1) is None
    finally:
        gc.enable()
