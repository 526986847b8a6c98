"""The events of the items of a job that has ended."""

from collections.abc import Iterator, Sequence

from api.dependencies import Dependencies
from api.jobs.items import read_page
from api.jobs.lookup import JobSnapshot
from api.jobs.representation import item_event, job_url
from api.jobs.server_sent_events import dropped

#: The most items, and the most frames of a job, whose events are sent when the job has ended. The list of items shows
#: the items of a larger job with fewer bytes.
MOST_ITEMS, MOST_FRAMES = 1000, 4000
_PAGE = 50


def ended_events(
    dependencies: Dependencies, known: JobSnapshot, base: str, first: int, without: Sequence[int] = b""
) -> Iterator[list[bytes]]:
    """Yield the `item` events of the items from number `first` on, page by page, or one event `dropped` if they are too
    many. `without` has a 1 for each item whose event is not needed.
    """
    if known.result is None:
        return
    if known.counts().total - first > MOST_ITEMS or known.frames().planned > MOST_FRAMES:
        yield [dropped(f"f{known.counts().total}", "too_old")]
        return
    cursor, url = None, job_url(base, known.id)
    while True:
        page = read_page(dependencies, known, cursor, _PAGE)
        yield [
            item_event(line, known.id, url, f"f{line.item + 1}")
            for line in page.lines
            if line.item >= first and not (line.item < len(without) and without[line.item])
        ]
        if page.next is None:
            return
        cursor = page.next
