"""The saving of a job's artifacts to disk.

Every saved file is complete, has a readable name, is inside the folder (symbolic links included), and never replaces
another file.
"""

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from maskrelay.client.artifact_body import ArtifactBody, is_inside, is_there, open_to_all
from maskrelay.client.artifact_names import folders_of, inserted
from maskrelay.client.artifact_parts import ArtifactParts, address_of
from maskrelay.client.exchange import Broken, Concurrently, Exchange, Operation, Reply
from maskrelay.client.responses import pictures
from maskrelay.client.service_calls import address_elsewhere, lies_elsewhere, reply_once, reply_to
from maskrelay.contract.views.job_views import MOST_TOGETHER, FrameShown, ItemShown, MaskShown
from maskrelay.errors import MaskrelayError, OptionInvalid, ServiceUnreachable

_TRIES = 3
#: The number of artifacts that are fetched at the same time.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class SavedFile:
    """An artifact on disk."""

    custom_id: str
    #: The frame's number within its item. None if the item is a single image, or if the file belongs to the whole item.
    frame: int | None
    output: str
    #: None for a file that shows several prompts.
    prompt: str | None
    path: Path
    #: The name of the submitted source, including its folders.
    source_name: str | None = None
    #: The identifier of the frame's DICOM object, in the form that the job's option `identifiers` requests.
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An artifact to save, and its link."""

    item: ItemShown
    picture: ItemShown | FrameShown | None
    frame: int | None
    output: str
    mask: MaskShown | None
    link: str

    @property
    def source_name(self) -> str | None:
        """Return the name of the frame's file if the item consists of several files, otherwise that of the item."""
        own = self.picture.source_name if self.picture is not None else None
        return own or self.item.source_name

    def as_saved(self, path: Path) -> SavedFile:
        prompt = self.mask.prompt if self.mask is not None else None
        instance = self.picture.instance if isinstance(self.picture, FrameShown) else None
        return SavedFile(self.item.custom_id, self.frame, self.output, prompt, path, self.source_name, instance)


class Folder:
    """The folder of one job's artifacts, with a subfolder for each folder of the sources.

    No two artifacts of the job get the same name, and no other file is overwritten. If a different file already has the
    name of an artifact, the artifact is saved under a name that contains the job's id.
    """

    def __init__(self, folder: Path, job: str, items: Sequence[ItemShown]) -> None:
        self._folder = folder
        self._job = job
        self._taken: set[str] = set()
        names = Counter(item.source_name for item in items)
        self._shared = {name for name, count in names.items() if name is not None and count > 1}

    def save_all(self, artifacts: Sequence[Wanted], record: "SaveRecord") -> Operation[list[SavedFile]]:
        """Save artifacts, several at a time. If an identical file exists, keep it.

        The files get their names in the order of the artifacts, so the names do not depend on which arrives first.
        """
        saved: list[SavedFile] = []
        missing = dict(enumerate(artifacts))
        fetched: dict[int, ArtifactBody | Path] = {}

        def place(_operation: int, found: Sequence[tuple[int, ArtifactBody | Path]]) -> None:
            fetched.update(found)
            for number, _ in found:
                del missing[number]
            while len(saved) in fetched:
                wanted, body = artifacts[len(saved)], fetched[len(saved)]
                path = body if isinstance(body, Path) else self._place(wanted, body)
                del fetched[len(saved)]
                self._taken.add(str(path).casefold())
                saved.append(wanted.as_saved(path))
                if isinstance(body, ArtifactBody):
                    record.saved(wanted.link, path.relative_to(self._folder).as_posix(), body.sha256)

        recorded = {number: record.path_of(wanted.link, self._folder) for number, wanted in missing.items()}
        place(0, [(number, path) for number, path in recorded.items() if path is not None])
        try:
            if record.remembers or self._is_empty():
                operations = [self._fetch_together(batch) for batch in _batches(missing)]
                yield Concurrently(operations, _AT_ONCE, place)
            yield Concurrently([self._fetch(number, wanted) for number, wanted in missing.items()], _AT_ONCE, place)
        finally:
            for body in fetched.values():
                if isinstance(body, ArtifactBody):
                    body.discard()
        return saved

    def _is_empty(self) -> bool:
        """Return whether the folder has no visible file. Otherwise some of its files may be artifacts of this job.

        If such a file is requested by itself, its content is not sent again.
        """
        return all(path.name.startswith(".") for path in self._folder.iterdir())

    def _fetch_together(self, batch: Mapping[int, Wanted]) -> Operation[list[tuple[int, ArtifactBody]]]:
        """Return the bodies of artifacts, each with its number, as far as one response contains them.

        It contains none if the service is an older one, if it redirects to its store, or if one of them is missing. The
        others are then fetched one by one, so no error is raised here.
        """
        if len(batch) == 1:
            [(number, wanted)] = batch.items()
            return (yield from self._fetch(number, wanted))
        bodies = [self._body_of(wanted) for wanted in batch.values()]
        parts = ArtifactParts(bodies)
        exchange = Exchange("GET", address_of([wanted.link for wanted in batch.values()]), receive=parts.receive)
        with _discarded_on_error(bodies):
            with suppress(MaskrelayError):
                yield from reply_once(exchange)
            for body in bodies[parts.complete :]:
                body.discard()
        return list(zip(list(batch)[: parts.complete], bodies, strict=False))

    def _fetch(self, number: int, wanted: Wanted) -> Operation[list[tuple[int, ArtifactBody]]]:
        """Return the body of one artifact, with its number."""
        body = self._body_of(wanted)
        with _discarded_on_error([body]):
            error = yield from _receive(body, wanted.link)
            for _ in range(_TRIES - 1):  # the address in the store may have expired, or the connection broken
                if error is not None:
                    error = yield from _receive(body, wanted.link)
            if error is not None:
                raise error
        return [(number, body)]

    def _body_of(self, wanted: Wanted) -> ArtifactBody:
        return ArtifactBody(self._folder, wanted.link, lambda name, sha256: self._equal(wanted, name, sha256))

    def _place(self, wanted: Wanted, body: ArtifactBody) -> Path:
        """Give a fetched artifact its final path."""
        path = next(path for path in self._paths(wanted, body.name) if self._is_free(path, body.sha256))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_there(path, body.sha256):
            if body.existing is not None:  # two artifacts with the same name and the same content
                body.take_copy()
            assert body.temporary is not None
            open_to_all(body.temporary)
            body.temporary.replace(path)
        body.discard()
        return path

    def _equal(self, wanted: Wanted, name: str, sha256: str | None) -> Path | None:
        """Return an existing file with this content, under one of the names of the artifact."""
        for path in self._paths(wanted, name):
            if not os.path.lexists(path):
                return None
            if is_there(path, sha256):
                return path
        return None

    def _paths(self, wanted: Wanted, name: str) -> Iterator[Path]:
        """Yield the possible paths of an artifact, the best one first. Raises OptionInvalid if they are outside."""
        parent = self._folder.joinpath(*folders_of(wanted.source_name))
        if not is_inside(parent, self._folder):
            raise OptionInvalid(f"{parent} leads out of {self._folder} by a symbolic link. Nothing is saved there.")
        if wanted.item.source_name in self._shared:  # two items with the same source name get different file names
            name = inserted(name, wanted.item.custom_id)
        tried = itertools.chain(
            [name, inserted(name, self._job[:8])],
            (inserted(name, f"{self._job[:8]}-{number}") for number in itertools.count(2)),
        )
        return (parent / candidate for candidate in tried)

    def _is_free(self, path: Path, sha256: str | None) -> bool:
        """Return whether no other artifact of the job has the path, and no file with other content."""
        if str(path).casefold() in self._taken:
            return False
        return not os.path.lexists(path) or is_there(path, sha256)


def _batches(missing: Mapping[int, Wanted]) -> list[dict[int, Wanted]]:
    """Return the artifacts in the order in which they are fetched: files of frames together, and others by themselves.

    Files of whole items can be large. The order is that of the artifacts as far as possible, so that what has arrived
    gets its name soon.
    """
    batches: list[dict[int, Wanted]] = []
    frames: dict[int, Wanted] = {}
    for number, wanted in missing.items():
        if wanted.picture is None:
            batches.append({number: wanted})
            continue
        if not frames or len(frames) == MOST_TOGETHER:
            frames = {}
            batches.append(frames)
        frames[number] = wanted
    return batches


class SaveRecord:
    """What earlier calls have saved. This one remembers nothing: every artifact is asked for."""

    #: Whether `path_of` returns the path of every artifact that an earlier call has saved in the folder.
    remembers: bool = False

    def path_of(self, _link: str, _folder: Path) -> Path | None:
        """Return the path of an artifact that was saved before and is unchanged, or None."""
        return None

    def saved(self, link: str, path: str, sha256: str | None) -> None:
        """Remember that an artifact was saved. `path` is relative to the folder."""


@contextmanager
def _discarded_on_error(bodies: Sequence[ArtifactBody]) -> Iterator[None]:
    """If the block does not come to its end, remove the temporary files of the bodies."""
    try:
        yield
    except BaseException:
        for body in bodies:
            body.discard()
        raise


def _receive(body: ArtifactBody, link: str) -> Operation[ServiceUnreachable | None]:
    """Receive an artifact from the service, or from the object store to which the service redirects.

    The store does not receive the API key. Return an error for any failure of the store.
    """
    reply = yield from reply_to(Exchange("GET", link, receive=body.from_service))
    if not lies_elsewhere(reply.status, reply.headers) or body.existing is not None:
        return None
    address = address_elsewhere(reply)
    store = f"the object store at {address.host}, to which maskrelay redirects,"  # the rest of the address is secret
    stored: Reply | Broken = yield Exchange("GET", str(address), elsewhere=True, receive=body.from_store)
    if isinstance(stored, Broken):
        return ServiceUnreachable(f"cannot reach {store} ({type(stored.trouble).__name__})")
    if not httpx.codes.is_success(stored.status):
        return ServiceUnreachable(f"{store} returned {stored.status}")
    return None


def wanted(item: ItemShown) -> Iterator[Wanted]:
    """Yield every artifact to which an item has a link."""
    for number, picture in pictures(item):
        for mask in picture.masks:
            for output, link in (("mask", mask.links.mask), ("probability", mask.links.probability)):
                if link is not None:
                    yield Wanted(item, picture, number, output, mask, link)
        for output, link in (("overlay", picture.links.overlay), ("preview", picture.links.preview)):
            if link is not None:
                yield Wanted(item, picture, number, output, None, link)
    links = item.links.model_dump(by_alias=True, exclude_none=True, exclude={"overlay", "preview"})
    for output, link in links.items():
        for address in link if isinstance(link, list) else [link]:
            yield Wanted(item, None, None, output, None, address)
