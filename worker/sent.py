"""Record every request to an endpoint in the audit log: hashes and numbers, no pixels and no prompts."""

from collections.abc import Sequence
from datetime import UTC, datetime

from maskrelay.contract.audit import Entry
from maskrelay.contract.wire import Row
from maskrelay.endpoints import Endpoint
from maskrelay.storage.audit import AuditLog


class Sent:
    """Records requests in the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def note(self, endpoint: Endpoint, rows: Sequence[Row], size: int, job: str | None, names: Sequence[str]) -> None:
        """Record a request of `size` bytes that is about to be sent. Returns at once.

        names: of its rows (`job:frame`). Without a job it is the canary.
        """
        self._audit.write(
            Entry(
                at=datetime.now(UTC),
                did="sent",
                endpoint=endpoint.name,
                model_version=endpoint.model_version,
                job=job,
                frames=tuple(int(frame) for _, colon, frame in (name.partition(":") for name in names) if colon),
                image_sha256=tuple(row.image_sha256 for row in rows),
                body_bytes=size,
            )
        )

    def close(self) -> None:
        """Write the waiting entries when the process ends."""
        self._audit.close()
