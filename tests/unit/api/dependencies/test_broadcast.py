"""The events that listeners share: a slow listener loses events, is told so, and holds none."""

import asyncio

import pytest

from api.dependencies.broadcast import Broadcast
from api.jobs.server_sent_events import encoded, follow


def test_a_listener_gets_what_came_after_its_number() -> None:
    events = Broadcast(kept=3)
    events.add(b"a", b"b")
    assert events.since(0) == [b"a", b"b"]
    assert events.since(1) == [b"b"]
    assert events.since(2) == []


def test_only_the_last_events_are_kept() -> None:
    events = Broadcast(kept=3)
    for number in range(10):
        events.add(b"%d" % number)
    assert events.since(6) is None
    assert events.since(7) == [b"7", b"8", b"9"]


def test_a_slow_listener_is_told_what_it_missed_and_goes_on() -> None:
    async def listen() -> list[bytes]:
        events, heard = Broadcast(kept=2), []
        stream = follow(events, 0, lambda: "r7.0")
        events.add(b"first")
        heard.append(await anext(stream))
        events.add(*(b"%d" % number for number in range(5)))
        heard.append(await anext(stream))
        events.add(b"next")
        events.end()
        return heard + [event async for event in stream]

    heard = asyncio.run(listen())
    assert heard == [b"first", encoded("dropped", "r7.0", {"reason": "too_slow"}), b"next"]


def test_everybody_who_waits_is_woken_by_an_event_and_by_the_end() -> None:
    async def listen() -> list[list[bytes]]:
        events = Broadcast()

        async def all_events() -> list[bytes]:
            return [event async for event in follow(events, 0, lambda: "r0.0")]

        listeners = [asyncio.create_task(all_events()) for _ in range(20)]
        for number in range(3):
            await asyncio.sleep(0)
            events.add(b"%d" % number)
        await asyncio.sleep(0)
        events.end()
        return await asyncio.gather(*listeners)

    for heard in asyncio.run(listen()):
        assert b"".join(heard) == b"012"


@pytest.mark.parametrize("text", ["two\nlines", "\r", "\u2028", 'a "quote"'])
def test_the_data_of_an_event_is_one_line(text: str) -> None:
    event = encoded("item", "r0.0", {"custom_id": text}).decode()
    assert event.count("\n") == 4
    assert "\r" not in event
