"""What leaves for an endpoint, noted in the audit log: a hash and numbers, no pixel and no word of it."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from maskrelay.contract.audit import Entry
from maskrelay.endpoints import Endpoint
from maskrelay.storage.audit import AuditLog


class Sent:
    """Notes requests of one event loop."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def note(self, endpoint: Endpoint, body: bytes, job: str | None, names: Sequence[str]) -> None:
        """Note a request that is about to be sent; `names` are its inputs' (`job:frame`), no job means the canary.

        Returns at once: hashing is for a thread, while the request is on its way.
        """
        at = datetime.now(UTC)
        asyncio.get_running_loop().run_in_executor(None, self._write, at, endpoint, body, job, names)

    def close(self) -> None:
        """Write what waits: the process ends."""
        self._audit.close()

    def _write(self, at: datetime, endpoint: Endpoint, body: bytes, job: str | None, names: Sequence[str]) -> None:
        frames = tuple(int(frame) for _, colon, frame in (name.partition(":") for name in names) if colon)
        self._audit.write(
            Entry(
                at=at,
                did="sent",
                endpoint=endpoint.name,
                model_version=endpoint.model_version,
                job=job,
                frames=frames,
                body_sha256=hashlib.sha256(body).hexdigest(),
                body_bytes=len(body),
            )
        )
