"""The state of a command that saves to a folder, so that it can be interrupted and repeated.

The file `.maskrelay-run.jsonl` in that folder says which files have been uploaded, as which job they were submitted,
and which artifacts have been saved. It has one JSON document in each line, and grows only at its end. So after a crash
it is complete, except perhaps for its last line, which is then ignored.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from maskrelay.client.artifact_body import is_inside, is_there
from maskrelay.client.download import SaveRecord
from maskrelay.client.submission import UploadRecord
from maskrelay.client.upload_sources import NamedSource
from maskrelay.errors import OptionInvalid

NAME = ".maskrelay-run.jsonl"
#: The service deletes an unused upload after a day by default. An upload that is older than this is made again.
_UPLOAD_LIFETIME_S = 20 * 3600


class RunState(UploadRecord, SaveRecord):
    """What earlier runs of a command have done with the service at `url`. `descriptor` is the open file."""

    remembers: bool = True

    def __init__(self, descriptor: int, url: str) -> None:
        self._descriptor = descriptor
        self._url = url
        self._hashes: dict[NamedSource, str] = {}
        self._uploads: dict[tuple[str, str], tuple[str, float]] = {}
        self._saved: dict[str, tuple[str, str]] = {}
        #: The jobs by their idempotency key.
        self.jobs: dict[str, str] = {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, url: str) -> Iterator[Self]:
        """Yield the state of a folder, which no other command uses at the same time.

        The lock ends with the process, however that ends. Raises OptionInvalid if another command uses the folder, or
        if the file is a symbolic link, and OSError.
        """
        descriptor = _opened(folder / NAME)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OptionInvalid(f"Another command is saving to {folder}. Wait until it has ended.") from None
            for left in folder.glob(".????????.part"):  # of a run that was killed
                left.unlink(missing_ok=True)
            state = cls(descriptor, url)
            state._read()
            yield state
        finally:
            os.close(descriptor)

    def sha256(self, source: NamedSource) -> str:
        """Return the hash of a file, which is read only once."""
        if source not in self._hashes:
            self._hashes[source] = source.sha256()
        return self._hashes[source]

    def upload_of(self, source: NamedSource) -> str | None:
        upload, at = self._uploads.get((source.name, self.sha256(source)), (None, 0.0))
        return upload if time.time() - at < _UPLOAD_LIFETIME_S else None

    def uploaded(self, sources: Sequence[NamedSource], uploads: Sequence[str]) -> None:
        for source, upload in zip(sources, uploads, strict=True):
            self._append({"upload": upload, "name": source.name, "sha256": self.sha256(source), "at": time.time()})

    def forget_uploads(self) -> None:
        """Upload every file again, because the service no longer has the uploads."""
        self._append({"uploads": "forgotten"})

    def submitted(self, key: str, job_id: str) -> None:
        """Remember the job of these files, prompts and options."""
        self._append({"job": job_id, "key": key})

    def path_of(self, link: str, folder: Path) -> Path | None:
        path, sha256 = self._saved.get(_without_host(link), ("", ""))
        whole = folder / path
        return whole if path and is_inside(whole, folder) and is_there(whole, sha256) else None

    def saved(self, link: str, path: str, sha256: str | None) -> None:
        if sha256 is not None:
            self._append({"saved": _without_host(link), "path": path, "sha256": sha256})

    def _append(self, document: dict[str, Any]) -> None:
        line = json.dumps({**document, "service": self._url}, ensure_ascii=False) + "\n"
        os.write(self._descriptor, line.encode())
        self._take(document)

    def _read(self) -> None:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            content = file.read()
        for line in content.splitlines():
            try:
                document = json.loads(line)
                if document.get("service") == self._url:
                    self._take(document)
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
                continue  # a line that was cut by a crash
        if content and not content.endswith(b"\n"):
            os.write(self._descriptor, b"\n")

    def _take(self, document: dict[str, Any]) -> None:
        if "upload" in document:
            self._uploads[document["name"], document["sha256"]] = document["upload"], document["at"]
        elif "job" in document:
            self.jobs[document["key"]] = document["job"]
        elif "saved" in document:
            self._saved[document["saved"]] = document["path"], document["sha256"]
        elif "uploads" in document:
            self._uploads.clear()


def _opened(path: Path) -> int:
    """Open the state file, but follow no symbolic link to a file outside the folder."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OptionInvalid(f"{path} is a symbolic link. Remove it, or save to another folder.") from None


def _without_host(link: str) -> str:
    """Return the path of a link. The host may differ between two answers of the same service."""
    return link[link.rfind("/v1/") :]
