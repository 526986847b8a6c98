"""The entries of the audit log, and the seal that ends each file and links it to the previous one.

A file is written once, as a whole: lines of entries, then one line with the seal. It holds names, hashes and numbers
only: no prompts, pixels or file names.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from maskrelay.contract.outcomes import Record


class Entry(Record):
    """What was done, when, and as far as it concerns the deed by whom and to what.

    did: a route with its method (`DELETE /v1/jobs/{job}`), or `sent` to an endpoint, `expired`, `removed`.
    by: the name of a key or a hash of a token's subject. status: what was answered. fingerprint: of the submission.
    image_sha256, body_bytes: of each picture as it was sent, and of the whole request that left for the endpoint with
    these frames of the job, in their order.
    """

    at: datetime
    did: str
    tenant: str | None = None
    by: str | None = None
    status: int | None = None
    job: str | None = None
    artifact: str | None = None
    event: str | None = None
    uploads: tuple[str, ...] | None = None
    fingerprint: str | None = None
    endpoint: str | None = None
    model_version: str | None = None
    frames: tuple[int, ...] | None = None
    image_sha256: tuple[str, ...] | None = None
    body_bytes: int | None = None

    def line(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Before(Record):
    """The file before, of the same process, and the hash of all its bytes."""

    key: str
    sha256: str


class Seal(Record):
    """The last line of a file.

    lines, sha256: of the lines above. before: None in a process' first file. closed: the process writes nothing more in
    this hour. lost: entries that found no room while storage was away.
    """

    lines: int
    sha256: str
    before: Before | None = None
    closed: bool
    lost: int = 0


def hour_of(at: datetime) -> str:
    """The hour that a file lies under, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H")


def sealed(lines: Sequence[bytes], before: Before | None, *, closed: bool, lost: int = 0) -> bytes:
    """A file's bytes: the lines, each with its line feed, and their seal."""
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest()
    seal = Seal(lines=len(lines), sha256=digest, before=before, closed=closed, lost=lost)
    return body + seal.model_dump_json().encode() + b"\n"


def unsealed(file: bytes) -> tuple[list[bytes], Seal]:
    """A file's lines and its seal; raises ValueError where they do not go together."""
    *lines, last = file.splitlines(keepends=True) or [b""]
    try:
        seal = Seal.model_validate_json(last)
    except ValidationError:
        raise ValueError("it has no seal") from None
    if seal.lines != len(lines) or seal.sha256 != hashlib.sha256(b"".join(lines)).hexdigest():
        raise ValueError("its lines are not those that were sealed")
    return lines, seal
