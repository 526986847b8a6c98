"""A job's artifacts on the user's disk: readable names, never outside the folder, never half a file."""

import contextlib
import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import httpx

from maskrelay.client.connection import Connection
from maskrelay.client.reading import pictures
from maskrelay.contract.shown import ItemShown
from maskrelay.errors import ServiceAnswerUnknown, ServiceUnreachable

_LONGEST_NAME = 150
_TRIES = 3
_ALLOWED = re.compile(r"[^\w.()+=@,-]+")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One artifact on disk. `prompt` is None for what shows several, `frame` where the item is one picture."""

    custom_id: str
    frame: int | None
    output: str
    prompt: str | None
    path: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """One artifact to be saved, and where it lies."""

    custom_id: str
    frame: int | None
    output: str
    prompt: str | None
    link: str


def wanted(item: ItemShown) -> Iterator[Wanted]:
    """Every artifact that an item links to."""
    for number, picture in pictures(item):
        for mask in picture.masks:
            for output, link in (("mask", mask.links.mask), ("probability", mask.links.probability)):
                if link is not None:
                    yield Wanted(item.custom_id, number, output, mask.prompt, link)
        if picture.links.overlay is not None:
            yield Wanted(item.custom_id, number, "overlay", None, picture.links.overlay)
    links = item.links.model_dump(by_alias=True, exclude_none=True, exclude={"overlay"})
    for output, link in links.items():
        for one in link if isinstance(link, list) else [link]:
            yield Wanted(item.custom_id, None, output, None, one)


def save(connection: Connection, one: Wanted, folder: Path, taken: set[str]) -> SavedFile:
    """Save one artifact under a name that is not in `taken`, and add it there. An equal file is left as it is."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(ServiceUnreachable):  # broken off in the middle of a body
            return _save(connection, one, folder, taken)
    return _save(connection, one, folder, taken)


def _save(connection: Connection, one: Wanted, folder: Path, taken: set[str]) -> SavedFile:
    with connection.file(one.link) as (told, answer):
        sha256 = _given_sha256(told)
        name = _unused(safe_name(_given_name(told) or one.link.rsplit("/", 1)[-1]), taken)
        path = folder / name
        if not _is_there(path, sha256):
            _write(answer, path, sha256)
    taken.add(name.casefold())
    return SavedFile(one.custom_id, one.frame, one.output, one.prompt, path)


def safe_name(name: str) -> str:
    """A file name of one path component from any text: no separators, no control characters, not hidden, not long."""
    plain = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    plain = _ALLOWED.sub("_", plain).lstrip(".")
    stem, dot, end = plain.rpartition(".")
    if dot and len(end) <= 8:
        room = _LONGEST_NAME - len(end.encode()) - 1
        plain = f"{_cut(stem, room)}.{end}"
    return _cut(plain, _LONGEST_NAME) or "artifact"


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")


def _unused(name: str, taken: set[str]) -> str:
    """The name, numbered if another artifact has it; compared as file systems without case do."""
    stem, dot, end = name.partition(".")
    tried, number = name, 1
    while tried.casefold() in taken:
        number += 1
        tried = f"{stem}-{number}{dot}{end}"
    return tried


def _given_name(headers: httpx.Headers) -> str | None:
    """The file name of Content-Disposition (RFC 6266), its extended form before the plain one."""
    given = headers.get("content-disposition", "")
    extended = re.search(r"filename\*\s*=\s*utf-8''([^;]+)", given, re.IGNORECASE)
    if extended:
        return unquote(extended[1].strip())
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', given, re.IGNORECASE)
    return re.sub(r"\\(.)", r"\1", plain[1] or plain[2]) if plain else None


def _given_sha256(headers: httpx.Headers) -> str | None:
    """The hash of the artifact, which its ETag is."""
    tag = headers.get("etag", "").strip('"')
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None


def _is_there(path: Path, sha256: str | None) -> bool:
    if sha256 is None or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as saved:
        return hashlib.file_digest(saved, "sha256").hexdigest() == sha256


def _write(answer: httpx.Response, path: Path, sha256: str | None) -> None:
    """Write the body beside `path` and move it there when it is whole and has its hash."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as written:
            _receive(answer, written, sha256)
        _open_to_all(name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _receive(answer: httpx.Response, written: IO[bytes], sha256: str | None) -> None:
    """Write the body; raises ServiceAnswerUnknown when it has not this hash."""
    digest = hashlib.sha256()
    for chunk in answer.iter_bytes():
        digest.update(chunk)
        written.write(chunk)
    if sha256 not in {None, digest.hexdigest()}:
        raise ServiceAnswerUnknown("an artifact arrived damaged; fetch it again")


def _open_to_all(name: str) -> None:
    """Give a temporary file the mode that any new file of this user has."""
    mask = os.umask(0)
    os.umask(mask)
    Path(name).chmod(0o666 & ~mask)
