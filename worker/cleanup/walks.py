"""Walks through everything in storage, one window at a time, so no pass takes long."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import islice
from typing import TypeVar

from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from worker.context import WorkerContext

#: The number of concurrent calls to storage. Most of their time is spent waiting for the server.
_HANDS = 8
_BATCH = 500
A = TypeVar("A")
B = TypeVar("B")


def next_keys(context: WorkerContext, walk: str, prefix: str, most: int) -> list[str]:
    """Return the next window of a walk: the next `most` keys with this prefix.

    After the last key, the walk starts again. Its position is stored in the ledger before the keys are processed, so an
    error with one key does not stop the walk.
    """
    after = context.ledger.sweep_state.place(walk)
    found = list(islice(context.storage.list(prefix, after), most))
    context.ledger.sweep_state.move(walk, found[-1] if len(found) == most else "")
    return found


def delete_all(storage: Storage, keys: Iterable[str]) -> None:
    """Delete these objects, several at a time. Missing objects are not an error."""
    waiting: Iterator[str] = iter(keys)
    with ThreadPoolExecutor(_HANDS) as hands:
        while batch := list(islice(waiting, _BATCH)):
            list(hands.map(storage.delete, batch))


def side_by_side(call: Callable[[A], B], values: Iterable[A], hands: int) -> Iterator[B]:
    """Call `call` with each value, `hands` calls at a time, and yield the results in no particular order.

    Only a few values are taken in advance. If a call raises an error, the iterator raises the error after all calls
    that were already submitted have ended.
    """
    with ThreadPoolExecutor(hands) as pool:
        waiting: set[Future[B]] = set()
        for value in values:
            waiting.add(pool.submit(call, value))
            if len(waiting) >= 2 * hands:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in waiting)


def written_before(storage: Storage, key: str, moment: datetime) -> bool:
    """Return whether the object exists and was written before `moment`."""
    try:
        return storage.head(key).modified < moment
    except ObjectMissing:
        return False
