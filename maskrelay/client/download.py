"""The saving of a job's artifacts to disk.

Every saved file is complete, has a readable name, is inside the folder, and never replaces another file.
"""

import contextlib
import hashlib
import itertools
import os
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import httpx

from maskrelay.client.responses import pictures
from maskrelay.client.service_connection import Connection
from maskrelay.contract.views.job_views import FrameShown, ItemShown, MaskShown
from maskrelay.errors import ServiceAnswerUnknown, ServiceUnreachable
from maskrelay.network.response_bodies import Decoder

_LONGEST_NAME = 150
_TRIES = 3
#: The largest artifact that is saved, in bytes.
_MOST_BYTES = 64 << 30
_ALLOWED = re.compile(r"[^\w.()+=@,-]+")
#: Splits a name into its stem and its ending. Endings are `.mask.png`, `.labels.nii.gz`, `.seg.dcm` and the like. The
#: dots of a UID belong to the stem.
_ENDING = re.compile(r"(.+?)((?:\.[a-z][a-z0-9-]{1,14}){1,3})", re.DOTALL)


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

    def save(self, connection: Connection, wanted: Wanted) -> SavedFile:
        """Save one artifact. If an identical file exists, keep it."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(ServiceUnreachable):  # the connection may break in the middle of a body
                return self._save(connection, wanted)
        return self._save(connection, wanted)

    def _save(self, connection: Connection, wanted: Wanted) -> SavedFile:
        with connection.file(wanted.link) as (headers, answer):
            sha256 = _given_sha256(headers)
            name = _given_name(headers) or wanted.link.rsplit("/", 1)[-1]
            path = self._free(wanted, safe_name(name), sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _is_there(path, sha256):
                _write(answer, path, sha256)
        self._taken.add(str(path).casefold())
        return wanted.as_saved(path)

    def _free(self, wanted: Wanted, name: str, sha256: str | None) -> Path:
        """Return the first free path for an artifact.

        A path is free if no other artifact of the job has it, and if there is no file with other content at this path.
        """
        parent = self._folder.joinpath(*_folders(wanted.source_name))
        if wanted.item.source_name in self._shared:  # two items with the same source name get different file names
            name = _inserted(name, wanted.item.custom_id)
        tried = itertools.chain(
            [name, _inserted(name, self._job[:8])],
            (_inserted(name, f"{self._job[:8]}-{number}") for number in itertools.count(2)),
        )
        paths = (parent / candidate for candidate in tried)
        return next(path for path in paths if self._is_free(path, sha256))

    def _is_free(self, path: Path, sha256: str | None) -> bool:
        if str(path).casefold() in self._taken:
            return False
        return not os.path.lexists(path) or _is_there(path, sha256)


def wanted(item: ItemShown) -> Iterator[Wanted]:
    """Yield every artifact to which an item has a link."""
    for number, picture in pictures(item):
        for mask in picture.masks:
            for output, link in (("mask", mask.links.mask), ("probability", mask.links.probability)):
                if link is not None:
                    yield Wanted(item, picture, number, output, mask, link)
        if picture.links.overlay is not None:
            yield Wanted(item, picture, number, "overlay", None, picture.links.overlay)
    links = item.links.model_dump(by_alias=True, exclude_none=True, exclude={"overlay"})
    for output, link in links.items():
        for address in link if isinstance(link, list) else [link]:
            yield Wanted(item, None, None, output, None, address)


def safe_name(name: str) -> str:
    """Return a file name of one path component: not hidden, not too long, without separators and control characters."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = _ALLOWED.sub("_", plain).lstrip(".")
    stem, dot, end = plain.rpartition(".")
    if dot and len(end) <= 8:
        room = _LONGEST_NAME - len(end.encode()) - 1
        plain = f"{_cut(stem, room)}.{end}"
    return _cut(plain, _LONGEST_NAME) or "artifact"


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")


def _folders(source_name: str | None) -> list[str]:
    """Return the folders in a source's name, each as a safe component. A name without folders gives none."""
    *folders, _ = (source_name or "").replace("\\", "/").split("/")
    return [safe_name(folder) for folder in folders if folder not in {"", ".", ".."}]


def _inserted(name: str, word: str) -> str:
    """Return the name with a word inserted before its ending: `a.mask.png` becomes `a-word.mask.png`."""
    parts = _ENDING.fullmatch(name)
    stem, ending = (parts[1], parts[2]) if parts else (name, "")
    return safe_name(f"{stem}-{word}{ending}")


def _given_name(headers: httpx.Headers) -> str | None:
    """Return the file name in Content-Disposition (RFC 6266). The extended form has priority."""
    given = headers.get("content-disposition", "")
    extended = re.search(r"filename\*\s*=\s*utf-8''([^;]+)", given, re.IGNORECASE)
    if extended:
        return unquote(extended[1].strip())
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', given, re.IGNORECASE)
    return re.sub(r"\\(.)", r"\1", plain[1] or plain[2]) if plain else None


def _given_sha256(headers: httpx.Headers) -> str | None:
    """Return the SHA-256 of the artifact, from its ETag, or None."""
    tag = headers.get("etag", "").strip('"')
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None


def _is_there(path: Path, sha256: str | None) -> bool:
    if sha256 is None or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as saved:
        return hashlib.file_digest(saved, "sha256").hexdigest() == sha256


def _write(answer: httpx.Response, path: Path, sha256: str | None) -> None:
    """Write the body to a temporary file next to `path`.

    When the body is complete and its hash is right, the file is renamed to `path`.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as written:
            _receive(answer, written, sha256)
        open_to_all(name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _receive(answer: httpx.Response, written: IO[bytes], sha256: str | None) -> None:
    """Write the body. Raises ServiceAnswerUnknown if its hash is not `sha256`."""
    digest = hashlib.sha256()
    decoder = Decoder(answer.headers, _MOST_BYTES)
    for piece in answer.iter_raw():
        for chunk in decoder.feed(piece):
            digest.update(chunk)
            written.write(chunk)
    decoder.end()
    if sha256 not in {None, digest.hexdigest()}:
        raise ServiceAnswerUnknown("A file arrived damaged. Fetch it again.")


def open_to_all(name: str) -> None:
    """Give a temporary file the mode that any other new file of this user would have."""
    mask = os.umask(0)
    os.umask(mask)
    Path(name).chmod(0o666 & ~mask)
