"""The body of an artifact on its way to disk: a temporary file, which becomes visible when it is complete."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import httpx

from maskrelay.client.artifact_names import given_name, given_sha256, safe_name
from maskrelay.client.service_calls import lies_elsewhere
from maskrelay.errors import ServiceAnswerUnknown
from maskrelay.network.response_bodies import Decoder

#: The largest artifact that is saved, in bytes.
_MOST_BYTES = 64 << 30
#: A function that returns an existing file with this name and this SHA-256, if there is one.
_Equal = Callable[[str, str | None], Path | None]


class ArtifactBody:
    """A receiver that writes an artifact to a temporary file in `folder`, and compares its hash with its ETag.

    If `equal` finds the artifact on disk, its body is not fetched, and `existing` is the path.
    """

    def __init__(self, folder: Path, link: str, equal: _Equal) -> None:
        self._folder = folder
        self._link = link
        self._equal = equal
        self._file: IO[bytes] | None = None
        self.name: str = ""
        self.sha256: str | None = None
        self.existing: Path | None = None
        self.temporary: Path | None = None

    def from_service(self, status: int, headers: httpx.Headers) -> "ArtifactBody | None":
        """Read the facts of the artifact from the service's headers. Return the receiver of the body, if it follows."""
        self.sha256 = given_sha256(headers)
        self.name = safe_name(given_name(headers) or self._link.partition("?")[0].rsplit("/", 1)[-1])
        self.existing = self._equal(self.name, self.sha256)
        if self.existing is not None or lies_elsewhere(status, headers):
            return None
        return self._begun(headers)

    def from_store(self, status: int, headers: httpx.Headers) -> "ArtifactBody | None":
        """Return the receiver of the body, if the object store has it."""
        return self._begun(headers) if httpx.codes.is_success(status) else None

    def feed(self, piece: bytes) -> None:
        assert self._file is not None
        for chunk in self._decoder.feed(piece):
            self._digest.update(chunk)
            self._file.write(chunk)

    def end(self) -> None:
        """Complete the file. Raises ServiceAnswerUnknown if its hash is not that of the ETag."""
        assert self._file is not None
        self._decoder.end()
        self._file.close()
        if self.sha256 not in {None, self._digest.hexdigest()}:
            raise ServiceAnswerUnknown("A file arrived damaged. Fetch it again.")

    @property
    def body(self) -> bytes:
        return b""

    def take_copy(self) -> None:
        """Make the temporary file a copy of the existing file."""
        assert self.existing is not None
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        os.close(descriptor)
        self.temporary = Path(name)
        shutil.copyfile(self.existing, self.temporary)

    def discard(self) -> None:
        """Remove the temporary file, unless it has been renamed."""
        if self._file is not None:
            self._file.close()
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)
        self._file = self.temporary = None

    def _begun(self, headers: httpx.Headers) -> "ArtifactBody":
        self.discard()  # what an earlier attempt has left
        self._decoder, self._digest = Decoder(headers, _MOST_BYTES), hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        self._file, self.temporary = os.fdopen(descriptor, "wb"), Path(name)
        return self


def is_there(path: Path, sha256: str | None) -> bool:
    """Return whether there is a regular file with this content."""
    if sha256 is None or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as saved:
        return hashlib.file_digest(saved, "sha256").hexdigest() == sha256


def is_inside(path: Path, folder: Path) -> bool:
    """Return whether the path is below the folder, also if parts of it are symbolic links."""
    return path.resolve().is_relative_to(folder.resolve())


def open_to_all(path: str | Path) -> None:
    """Give a temporary file the mode that any other new file of this user would have.

    Call it in one thread only: the mode can be read only by changing it for a moment, for the whole process.
    """
    mask = os.umask(0)
    os.umask(mask)
    Path(path).chmod(0o666 & ~mask)
