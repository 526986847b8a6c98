"""The entries of the audit log, and the seal at the end of each file of the log.

A file is written once, as a whole. It consists of one line for each entry, and a last line with the seal. The seal
contains a hash of the entries and a hash of the previous file. A file contains no prompts, pixels or names of uploaded
files.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from maskrelay.contract.record import Record


class AuditEntry(Record):
    """One entry: an action and its time. The other fields are present if they apply to the action."""

    at: datetime
    #: The action. For a request to the API, it is the method and the path (`DELETE /v1/jobs/{job}`). Otherwise, it is
    #: `sent` (images were sent to an endpoint), `expired` (the job has expired) or `removed` (the data of a deleted or
    #: expired job was removed).
    did: str
    tenant: str | None = None
    #: The caller: the name of an API key, or a hash of the subject of a token.
    by: str | None = None
    #: The HTTP status of the response.
    status: int | None = None
    job: str | None = None
    artifact: str | None = None
    #: The files of the job that were requested together.
    artifacts: tuple[str, ...] | None = None
    event: str | None = None
    #: The number of the item that was reviewed.
    item: int | None = None
    watch: str | None = None
    uploads: tuple[str, ...] | None = None
    #: The fingerprint of the submission (see `Submission.fingerprint`).
    fingerprint: str | None = None
    #: Whether the response to a submission contained the items of the job.
    with_items: bool | None = None
    endpoint: str | None = None
    model_version: str | None = None
    frames: tuple[int, ...] | None = None
    #: The hash of each image that was sent to the endpoint, in the order of `frames`. A test image, such as the canary,
    #: has a hash but no frame.
    image_sha256: tuple[str, ...] | None = None
    #: The size in bytes of the whole request to the endpoint.
    body_bytes: int | None = None

    def line(self) -> bytes:
        """Return the entry as one line of JSON."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Before(Record):
    """The key of the previous file of the same process, and the hash of all its bytes."""

    key: str
    sha256: str


class Seal(Record):
    """The last line of a file."""

    #: The number of lines before the seal.
    lines: int
    #: The hash of the lines before the seal.
    sha256: str
    #: The previous file of the process. None in the first file of the process.
    before: Before | None = None
    #: Whether this is the last file that the process writes in this hour.
    closed: bool
    #: The number of entries that were dropped while storage was unavailable.
    lost: int = 0


def hour_of(at: datetime) -> str:
    """Return the hour of a time in UTC, in the form that the keys of audit files contain."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H")


def sealed(lines: Sequence[bytes], before: Before | None, *, closed: bool, lost: int = 0) -> bytes:
    """Return the bytes of a file: the given lines, each of which ends with a line feed, and their seal."""
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest()
    seal = Seal(lines=len(lines), sha256=digest, before=before, closed=closed, lost=lost)
    return body + seal.model_dump_json().encode() + b"\n"


def unsealed(file: bytes) -> tuple[list[bytes], Seal]:
    """Return the lines of a file and its seal. Raises ValueError if the seal is missing or does not match the lines."""
    *lines, last = file.splitlines(keepends=True) or [b""]
    try:
        seal = Seal.model_validate_json(last)
    except ValidationError:
        raise ValueError("it has no seal") from None
    if seal.lines != len(lines) or seal.sha256 != hashlib.sha256(b"".join(lines)).hexdigest():
        raise ValueError("its lines do not match its seal")
    return lines, seal
