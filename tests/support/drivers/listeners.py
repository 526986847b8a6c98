"""A listener to server-sent events over a real connection."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class ReceivedEvent:
    id: str
    event: str
    data: dict[str, Any]


@contextmanager
def listening(client: httpx.Client, path: str, last: str | None = None) -> Iterator[Iterator[ReceivedEvent]]:
    """Yield the events of a stream as they arrive. The iterator ends with the stream."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[ReceivedEvent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "event" in fields:
            yield ReceivedEvent(fields["id"], fields["event"], json.loads(fields["data"]))
        fields = {}


def until(events: Iterator[ReceivedEvent], event: str) -> list[ReceivedEvent]:
    """Return the events up to the first one of this type."""
    seen: list[ReceivedEvent] = []
    for one in events:
        seen.append(one)
        if one.event == event:
            return seen
    raise AssertionError(f"the stream ended without {event}: {[one.event for one in seen]}")
