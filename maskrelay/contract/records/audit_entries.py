"""The entries of the audit log, and the seal that ends each file and links it to the previous one.

A file is written once, as a whole: lines of entries, then one line with the seal. It holds names, hashes and numbers
only: no prompts, pixels or file names.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from maskrelay.contract.record import Record


class AuditEntry(Record):
    """One entry: the action, its time, and, where they apply, its author and its object."""

    at: datetime
    #: A route with its method (`DELETE /v1/jobs/{job}`), or `sent` to an endpoint, `expired`, `removed`.
    did: str
    tenant: str | None = None
    #: The name of a key, or a hash of a token's subject.
    by: str | None = None
    #: The status of the response.
    status: int | None = None
    job: str | None = None
    artifact: str | None = None
    event: str | None = None
    uploads: tuple[str, ...] | None = None
    #: The fingerprint of the submission.
    fingerprint: str | None = None
    endpoint: str | None = None
    model_version: str | None = None
    frames: tuple[int, ...] | None = None
    #: The hash of each image as it was sent, for the frames of the job in their order.
    image_sha256: tuple[str, ...] | None = None
    #: The size of the whole request to the endpoint with these frames.
    body_bytes: int | None = None

    def line(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Before(Record):
    """The previous file of the same process, and the hash of all its bytes."""

    key: str
    sha256: str


class Seal(Record):
    """The last line of a file."""

    #: The number of lines above.
    lines: int
    #: The hash of the lines above.
    sha256: str
    #: None in the first file of a process.
    before: Before | None = None
    #: The process writes nothing more in this hour.
    closed: bool
    #: Entries that were dropped while storage was unavailable.
    lost: int = 0


def hour_of(at: datetime) -> str:
    """Return the hour under which a file is stored, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H")


def sealed(lines: Sequence[bytes], before: Before | None, *, closed: bool, lost: int = 0) -> bytes:
    """Return the bytes of a file: the lines, each with its line feed, and their seal."""
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest()
    seal = Seal(lines=len(lines), sha256=digest, before=before, closed=closed, lost=lost)
    return body + seal.model_dump_json().encode() + b"\n"


def unsealed(file: bytes) -> tuple[list[bytes], Seal]:
    """Return the lines of a file and its seal. Raises ValueError if they do not match."""
    *lines, last = file.splitlines(keepends=True) or [b""]
    try:
        seal = Seal.model_validate_json(last)
    except ValidationError:
        raise ValueError("it has no seal") from None
    if seal.lines != len(lines) or seal.sha256 != hashlib.sha256(b"".join(lines)).hexdigest():
        raise ValueError("its lines are not those that were sealed")
    return lines, seal
