"""The folders below a watched prefix, from a listing of any length in little memory."""

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from maskrelay.rules.arrivals import Arrival
from maskrelay.sources.source_reader import SourceFacts

#: The caller may pause after this many objects of the listing.
_PAUSE_EVERY = 500


@dataclass(slots=True)
class WatchedFolder:
    """A folder, with the objects in it that count. Objects in its subfolders are not in it."""

    #: The URL, without the trailing slash.
    url: str
    #: The number of the objects.
    count: int = 0
    #: The objects. Empty if there are more than a job may have, or if the folder cannot be listed.
    objects: list[SourceFacts] = field(default_factory=list)
    is_readable: bool = True

    def arrival(self) -> Arrival:
        return Arrival(self.url, tuple((each.url, each.size, each.etag or each.version or "") for each in self.objects))


def watched_folders(listed: Iterable[SourceFacts], pattern: str | None, most: int) -> Iterator[WatchedFolder | None]:
    """Yield each folder with objects whose names match the pattern, when the listing has left it.

    The listing must be in the order of URLs. The objects of a folder and of its subfolders then follow each other, so
    only the folders above the current object are in memory, each with at most `most` objects. Now and then, None is
    yielded, so that the caller can pause.
    """
    open_folders: list[WatchedFolder] = []
    for number, facts in enumerate(listed, 1):
        url, _, name = facts.url.rpartition("/")
        while open_folders and not f"{url}/".startswith(f"{open_folders[-1].url}/"):
            yield open_folders.pop()
        if not name:  # a folder that cannot be listed
            yield WatchedFolder(url, is_readable=False)
        elif pattern is None or fnmatch.fnmatchcase(name, pattern):
            if not open_folders or open_folders[-1].url != url:
                open_folders.append(WatchedFolder(url))
            _add(open_folders[-1], facts, most)
        if number % _PAUSE_EVERY == 0:
            yield None
    yield from reversed(open_folders)


def _add(folder: WatchedFolder, facts: SourceFacts, most: int) -> None:
    folder.count += 1
    if folder.count <= most:
        folder.objects.append(facts)
    else:
        folder.objects.clear()
