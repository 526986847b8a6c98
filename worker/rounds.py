"""Walks through everything in storage a window at a time, so that no pass takes long, whatever there is."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice

from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from worker.parts import Parts

#: Calls to storage at once: what counts is their way there and back.
_HANDS = 8
_BATCH = 500


def next_keys(parts: Parts, walk: str, prefix: str, most: int) -> list[str]:
    """The `most` keys of a prefix behind those of the walk's last window; after the last key it begins anew.

    The place is kept in the ledger before anything is done about the keys: what fails on one does not stop the walk.
    """
    after = parts.ledger.sweeps.place(walk)
    found = list(islice(parts.storage.list(prefix, after), most))
    parts.ledger.sweeps.move(walk, found[-1] if len(found) == most else "")
    return found


def delete_all(storage: Storage, keys: Iterable[str]) -> None:
    """Delete these objects, some at a time; what is not there is no error."""
    waiting: Iterator[str] = iter(keys)
    with ThreadPoolExecutor(_HANDS) as hands:
        while batch := list(islice(waiting, _BATCH)):
            list(hands.map(storage.delete, batch))


def written_before(storage: Storage, key: str, moment: datetime) -> bool:
    """Whether the object is there and was written before `moment`."""
    try:
        return storage.head(key).modified < moment
    except ObjectMissing:
        return False
