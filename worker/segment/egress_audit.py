"""The audit entries about requests to endpoints."""

from collections.abc import Sequence
from datetime import UTC, datetime

from maskrelay.contract.records.audit_entries import AuditEntry
from maskrelay.contract.wire.image2d import Row
from maskrelay.endpoints import Endpoint
from maskrelay.storage.audit_log import AuditLog


class EgressAudit:
    """A writer of entries about requests to endpoints into the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def note(self, endpoint: Endpoint, rows: Sequence[Row], size: int, job: str | None, names: Sequence[str]) -> None:
        """Record a request of `size` bytes that is about to be sent. The call returns at once.

        `names` are the names of its rows (`job:frame`). A request without a job sends the canary or another test image.
        """
        self._audit.write(
            AuditEntry(
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
