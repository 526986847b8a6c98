"""The submitted items of jobs. Those of a run are in chunks in the order of its lines, as are its rejected lines.

A chunk is written once, and is planned as a whole. So the memory for a run does not depend on the number of its lines.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import count

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Item, Submission
from maskrelay.contract.records.runs import ChunkHead, ChunkStart, Expansion, RejectedLine, Run
from maskrelay.contract.records.source_pins import Pin
from maskrelay.errors import ObjectMissing
from maskrelay.rules.run_chunks import is_full, may_end_before
from maskrelay.storage.protocol import Storage
from maskrelay.storage.stored_records import lines_of, parsed, read_record, record_body, unreadable

_LINES = "application/x-ndjson"
#: The largest number of rejected lines in a chunk, which bounds the memory for a body of bad lines.
MOST_REJECTED = 20_000


def item_lines(items: Iterable[Item]) -> bytes:
    """Return the content of the object that `Submission.items_key` names."""
    return b"".join(record_body(item) + b"\n" for item in items)


def write_before_acceptance(storage: Storage, submission: Submission, lines: bytes) -> None:
    """Write the live marker of a job, and its items if there are so many that they have an object of their own.

    These objects are durable before `job.json` becomes visible.
    """
    with storage.flushed_later():
        storage.put(keys.live(submission.id), b"")
        if submission.items_key is not None:
            storage.put(submission.items_key, lines, _LINES)


class ChunkWriter:
    """A writer of the chunks under the prefix `chunks`, from chunk `number` on, which begins after `before`.

    `pin` is the version of the manifest from which the lines are read. Methods raise ObjectExists if another process
    has written a chunk.
    """

    def __init__(
        self,
        storage: Storage,
        chunks: str,
        number: int = 0,
        before: ChunkHead | None = None,
        pin: Pin | None = None,
    ) -> None:
        self._storage = storage
        self._chunks = chunks
        #: The number of chunks that are written.
        self.number = number
        self._pin = pin
        self._after = before.after if before else None
        self._first = before.lines - before.rejected if before else 0
        self._lines = before.lines if before else 0
        self._rejected_before = before.rejected if before else 0
        self._items: list[Item] = []
        self._rejected: list[RejectedLine] = []

    def add(self, item: Item, after: str | None = None) -> None:
        """Add the item of the next line. `after` is the place after this line."""
        if is_full(self._items, len(self._rejected), item):
            self._write(last=False)
        self._items.append(item)
        self._lines, self._after = self._lines + 1, after

    def reject(self, line: RejectedLine, after: str | None = None) -> None:
        """Add a line that did not become an item. `after` is the place after this line."""
        if len(self._rejected) >= MOST_REJECTED:
            self._write(last=False)
        self._rejected.append(line)
        self._lines, self._after = self._lines + 1, after

    def end_before(self, url: str) -> bool:
        """Write a chunk that ends before the listed object `url`, which is no item. It may be without items.

        Return False, and write nothing, if an object that follows may belong to the same series as the last item.
        """
        if self._items and not may_end_before(self._items[-1], url):
            return False
        self._after = url
        self._write(last=False)
        return True

    def close(self) -> Expansion:
        """Write the last chunk."""
        self._write(last=True)
        return self.expansion()

    def expansion(self) -> Expansion:
        """Return the numbers of the lines so far."""
        items, rejected = self._first + len(self._items), self._rejected_before + len(self._rejected)
        return Expansion(lines=self._lines, items=items, rejected=rejected, chunks=self.number)

    def _write(self, *, last: bool) -> None:
        if self._rejected:
            body = b"\n".join(record_body(line) for line in self._rejected)
            self._storage.put(keys.rejected_chunk(self._chunks, self.number), body, _LINES)
        rejected = self._rejected_before + len(self._rejected)
        head = ChunkHead(
            first=self._first, lines=self._lines, rejected=rejected, last=last, after=self._after, pin=self._pin
        )
        body = b"\n".join(
            [record_body(head), *(item.model_dump_json(exclude_defaults=True).encode() for item in self._items)]
        )
        self._storage.create(keys.item_chunk(self._chunks, self.number), body, _LINES)
        self._first += len(self._items)
        self._rejected_before = rejected
        self._items, self._rejected = [], []
        self.number += 1


def read_chunk(storage: Storage, chunks: str, number: int) -> tuple[ChunkHead, list[Item]]:
    """Return the head and the items of a chunk. Raises ObjectMissing and RecordUnreadable."""
    key = keys.item_chunk(chunks, number)
    head, *items = storage.get(key).splitlines() or [b""]
    return parsed(head, ChunkHead, key), [parsed(line, Item, key) for line in items]


def read_chunks(storage: Storage, run: Run, first: int = 0) -> Iterator[tuple[ChunkHead, list[Item]]]:
    """Yield every chunk from number `first` on, one at a time.

    Raises RecordUnreadable if a chunk is missing, unless the lines that follow were not read yet.
    """
    for number in count(first):
        try:
            head, items = read_chunk(storage, run.chunks, number)
        except ObjectMissing:
            if expansion_of(storage, run) is None:
                return
            raise unreadable(keys.item_chunk(run.chunks, number)) from None
        yield head, items
        if head.last:
            return


def expansion_of(storage: Storage, run: Run) -> Expansion | None:
    """Return the numbers of a run's lines, or None if they were not all read yet."""
    if run.expansion is not None or run.lines_from is None:
        return run.expansion
    with suppress(ObjectMissing):
        return read_record(storage, keys.expansion(run.chunks), Expansion)
    return None


def write_expansion(storage: Storage, run: Run, expansion: Expansion) -> None:
    """Record that all lines of a run were read."""
    storage.put(keys.expansion(run.chunks), record_body(expansion), "application/json")


def last_chunk(storage: Storage, run: Run) -> tuple[int, ChunkHead] | None:
    """Return the number and the head of the last chunk that was written."""
    last = None
    for number, key in enumerate(storage.list(run.chunks)):
        if key != keys.item_chunk(run.chunks, number):  # the keys of other objects come after those of the chunks
            break
        last = number
    if last is None:
        return None
    key = keys.item_chunk(run.chunks, last)
    return last, parsed(storage.get(key).partition(b"\n")[0], ChunkHead, key)


def read_items(storage: Storage, submission: Submission, chunk: int = 0) -> Iterator[Item]:
    """Yield every submitted item of a job in order. Of a run, only the items from number `chunk` of the chunks on.

    Raises ObjectMissing and RecordUnreadable.
    """
    if submission.run is not None:
        for _, items in read_chunks(storage, submission.run, chunk):
            yield from items
    elif submission.items_key is None:
        yield from submission.items
    else:
        with closing(storage.stream(submission.items_key)) as chunks:
            for line in lines_of(chunks):
                yield parsed(line, Item, submission.items_key)


def items_kept(submission: Submission) -> tuple[str, ...]:
    """Return the keys of the objects with the submitted items, or the prefixes of these keys."""
    if submission.run is not None:
        return (submission.run.chunks,)
    return (submission.items_key,) if submission.items_key is not None else ()


def read_start(storage: Storage, job: str, frame: int) -> ChunkStart:
    """Return the start of a chunk that begins at `frame` or before it: of the last such chunk whose start is stored."""
    known = list(storage.list(keys.chunk_starts(job)))
    found = bisect_right(known, frame, key=lambda key: _read_start(storage, key).frame)
    return _read_start(storage, known[found - 1]) if found else ChunkStart(chunk=0, item=0, frame=0)


def _read_start(storage: Storage, key: str) -> ChunkStart:
    return parsed(storage.get(key), ChunkStart, key)


def write_start(storage: Storage, job: str, start: ChunkStart) -> None:
    storage.put(keys.chunk_start(job, start.chunk), record_body(start), "application/json")


def read_rejected(storage: Storage, chunks: str, first: int, skip: int) -> Iterator[tuple[int, int, RejectedLine]]:
    """Yield the rejected lines, each with its chunk and its place there, from place `skip` of chunk `first` on."""
    prefix = keys.rejected_lines(chunks)
    after = keys.rejected_chunk(chunks, first - 1) if first else ""
    for key in storage.list(prefix, after):
        chunk = keys.chunk_of(key)
        for place, line in enumerate(storage.get(key).splitlines()):
            if (chunk, place) >= (first, skip):
                yield chunk, place, parsed(line, RejectedLine, key)


def delete_chunks(storage: Storage, chunks: str) -> None:
    """Delete the chunks and the rejected lines of a run that is not accepted."""
    for key in storage.list(chunks):
        storage.delete(key)
