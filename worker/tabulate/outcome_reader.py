"""The outcomes of a running job that a table has no rows of yet.

The files of the table itself record which frames have rows already. If Redis loses its list of outcome parts, or if two
workers tabulate the same job, every frame therefore still has its rows once.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import FRAMES_PER_PART
from maskrelay.contract.records.outcomes import Outcome, read_outcome
from maskrelay.contract.records.planned_items import PlannedItem
from maskrelay.delta.delta_table import owned_files
from maskrelay.delta.table_snapshot import TableSnapshot
from maskrelay.errors import ObjectMissing
from maskrelay.storage.protocol import Storage
from worker.context import WorkerContext
from worker.context.job_records.plans import LruCache, read_item_part

#: The tags of a file: the frames whose rows it has, as ranges, and the position in the list of outcome parts up to
#: which they were read, with the name of the last part.
FRAMES, LISTED = "maskrelay.frames", "maskrelay.listed"
#: The most frames whose outcomes are in memory, and whose rows are added in one commit.
FRAMES_PER_COMMIT = 5_000


@dataclass(frozen=True, slots=True)
class Progress:
    """What a table has of a job: its frames, and the position in the list of outcome parts."""

    known: frozenset[int]
    #: The number of parts that were read, and the name of the last.
    count: int = 0
    last: str = ""

    def tags(self, frames: Iterable[int]) -> Mapping[str, str]:
        """Return the tags of a file with rows of these frames."""
        return {FRAMES: ranges_text(frames), LISTED: f"{self.count} {self.last}"}


@dataclass(frozen=True, slots=True)
class NewOutcomes:
    outcomes: list[Outcome]
    #: The progress when the rows of these outcomes have been added.
    progress: Progress
    #: Whether there are further parts.
    more: bool


def progress_of(context: WorkerContext, snapshot: TableSnapshot, job: str) -> Progress:
    """Return what the table has of the job."""
    tags = [file.get("tags", {}) for file in owned_files(snapshot, job)]
    known = frozenset(frame for tag in tags for frame in frames_in(tag.get(FRAMES, "")))
    count, last = max((_position(tag.get(LISTED, "")) for tag in tags), default=(0, ""))
    if count and [name for name, _ in context.ledger.jobs.parts(job, count - 1, count - 1)] != [last]:
        return Progress(known)  # Redis has lost the list, and the parts are listed again in another order
    return Progress(known, count, last)


def new_outcomes(
    context: WorkerContext, job: str, progress: Progress, is_wanted: Callable[[Outcome], bool]
) -> NewOutcomes:
    """Read outcome parts, beginning with the first that was not read yet, until FRAMES_PER_COMMIT frames are found.

    Only the visible outcome of a frame is taken: the first in the list of parts that was not refused.
    """
    count, last = progress.count, progress.last
    seen, outcomes = set(progress.known), list[Outcome]()
    for name, refused in context.ledger.jobs.parts(job, count):
        if len(outcomes) >= FRAMES_PER_COMMIT:
            return NewOutcomes(outcomes, Progress(frozenset(seen), count, last), more=True)
        count, last = count + 1, name
        for outcome in read_part(context.storage, job, name):
            if outcome.frame not in refused and outcome.frame not in seen:
                seen.add(outcome.frame)
                outcomes += [outcome] if is_wanted(outcome) else []
    return NewOutcomes(outcomes, Progress(frozenset(seen), count, last), more=False)


def read_part(storage: Storage, job: str, name: str) -> Iterator[Outcome]:
    """Yield the outcomes of a part. A part that is missing has none."""
    try:
        lines = storage.get(keys.outcome_part(job, name)).splitlines()
    except ObjectMissing:
        return
    yield from (outcome for line in lines if (outcome := read_outcome(line)) is not None)


def _position(tag: str) -> tuple[int, str]:
    number, _, name = tag.partition(" ")
    return (int(number), name) if number.isdecimal() else (0, "")


class PlannedItems:
    """The items of a job's plan by the numbers of their frames. A few parts of the plan are in memory."""

    def __init__(self, storage: Storage, job: str) -> None:
        self._part = LruCache[int, list[PlannedItem]](lambda part: read_item_part(storage, job, part), most=8)

    def of_frame(self, frame: int) -> PlannedItem:
        """Return the item to which the frame belongs. Raises ObjectMissing and RecordUnreadable."""
        for part in range(frame // FRAMES_PER_PART, -1, -1):
            items = self._part(part)
            place = bisect_right(items, frame, key=lambda item: item.first)
            if place:
                return items[place - 1]
        raise ObjectMissing


def ranges_text(frames: Iterable[int]) -> str:
    """Return the frames as text, such as `0-63,70`."""
    numbered = enumerate(sorted(frames))
    runs = ([frame for _, frame in run] for _, run in groupby(numbered, key=lambda pair: pair[1] - pair[0]))
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def frames_in(text: str) -> Iterator[int]:
    """Yield the frames of a text that `ranges_text` returned."""
    for run in text.split(",") if text else ():
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)
