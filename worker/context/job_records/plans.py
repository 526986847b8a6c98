"""Readers of submissions, plans and assembled items in storage. These records never change, so they can be cached."""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART, PlannedFrame, Submission
from maskrelay.contract.records.planned_items import Assembled, PlannedItem
from maskrelay.contract.vocabulary.outputs import OF_ITEM
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import read_record, read_records, read_submission
from worker.context.read_ahead import ahead

K = TypeVar("K")
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """A cache of the most recently used values, with a total weight of at most `most`.

    The function `read` loads a missing value. Any thread may use the cache. Threads that request different values read
    concurrently. Two threads that request the same value may both read it. Then only one of the two results is kept.
    The value that was added last is kept even if it alone weighs more than `most`.
    """

    def __init__(self, read: Callable[[K], V], most: int, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._read = read
        self._most = most
        self._weigh = weigh
        self._weight = 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, key: K) -> bool:
        """Return whether the value is cached."""
        return key in self._values

    def __call__(self, key: K) -> V:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = self._read(key)
        with self._lock:
            self._keep(key, value)
        return value

    def _keep(self, key: K, value: V) -> None:
        if key in self._values:
            self._values.move_to_end(key)
            return
        self._values[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._most and len(self._values) > 1:
            _, oldest = self._values.popitem(last=False)
            self._weight -= self._weigh(oldest)


def read_frame_part(storage: Storage, job: str, part: int) -> list[PlannedFrame]:
    """Return the planned frames of a part of the plan. Raises ObjectMissing or RecordUnreadable."""
    return read_records(storage, keys.frame_part(job, part), PlannedFrame)


def read_item_part(storage: Storage, job: str, part: int) -> list[PlannedItem]:
    """Return the items that begin in a part of the plan. Raises ObjectMissing or RecordUnreadable."""
    return read_records(storage, keys.item_part(job, part), PlannedItem)


def planned_frames(storage: Storage, job: str) -> tuple[int, int]:
    """Return the number of parts of the plan in storage, and the number of its frames.

    A part is counted if its frames, its items and all earlier parts are stored. Every part but the last is full.
    """
    there = {*storage.list(keys.frames(job)), *storage.list(keys.item_parts(job))}
    parts = 0
    while {keys.frame_part(job, parts), keys.item_part(job, parts)} <= there:
        parts += 1
    return parts, (parts - 1) * FRAMES_PER_PART + len(read_frame_part(storage, job, parts - 1)) if parts else 0


def planned_items(
    storage: Storage, job: str, parts: int, begin: int = 0, end: int | None = None
) -> Iterator[tuple[PlannedItem, list[PlannedFrame]]]:
    """Yield every item that begins in the parts `begin` … `end - 1`, in order, each with its frames.

    `parts` is the number of parts of the plan. If the plan is unfinished, the last item may lack some frames.
    """
    own, later = range(begin, parts if end is None else end), range(parts if end is None else end, parts)
    read = partial(read_frame_part, storage, job)
    frames = itertools.chain.from_iterable(itertools.chain(ahead(read, own), map(read, later)))
    passed = begin * FRAMES_PER_PART  # the number of frames that are skipped or yielded already
    for items in ahead(partial(read_item_part, storage, job), own):
        for item in items:
            deque(itertools.islice(frames, max(0, item.first - passed)), maxlen=0)
            found = list(itertools.islice(frames, item.frames))
            passed = item.first + item.frames
            yield item, found


class Plans:
    """A reader of planned frames, with a cache of the most recently used parts and submissions."""

    def __init__(self, storage: Storage) -> None:
        self._part = LruCache[tuple[str, int], list[PlannedFrame]](lambda key: read_frame_part(storage, *key), most=16)
        self.submission = LruCache[str, Submission](lambda job: read_submission(storage, job), most=64)

    def frame(self, job: str, frame: int) -> PlannedFrame:
        """Return the planned frame."""
        part, place = divmod(frame, FRAMES_PER_PART)
        return self._part((job, part))[place]

    def of(self, job: str, frame: int) -> tuple[PlannedFrame, Submission]:
        """Return the planned frame and its submission."""
        return self.frame(job, frame), self.submission(job)

    def holds(self, job: str, frame: int) -> bool:
        """Return whether `of` can return this frame without reading from storage."""
        return self._part.holds((job, frame // FRAMES_PER_PART)) and self.submission.holds(job)


def needs_assembling(item: PlannedItem) -> bool:
    """Return whether files of the item as a whole must be made."""
    return not item.held and not OF_ITEM.isdisjoint(item.outputs)


def unassembled(storage: Storage, job: str, parts: int) -> list[tuple[int, int]]:
    """Return the items whose files have not been made, each with the part of the plan in which the item begins."""
    wanted = [(item.item, part) for part, item in _items(storage, job, parts) if needs_assembling(item)]
    if not wanted:
        return []
    there = set(storage.list(keys.assembled(job)))
    return [(item, part) for item, part in wanted if keys.assembled_item(job, item) not in there]


def read_assembled(storage: Storage, job: str, item: PlannedItem) -> Assembled | None:
    """Return the record of the item's files, or None if no files were requested or made (for example,
    in a cancelled job).
    """
    if not needs_assembling(item):
        return None
    try:
        return read_record(storage, keys.assembled_item(job, item.item), Assembled)
    except ObjectMissing:
        return None


def _items(storage: Storage, job: str, parts: int) -> Iterator[tuple[int, PlannedItem]]:
    for part in range(parts):
        for item in read_item_part(storage, job, part):
            yield part, item
