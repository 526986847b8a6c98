"""Facts for the caller: an immutable body under a computed id, at most one of a type and job."""

import hashlib
import json
from datetime import datetime
from typing import Any

TERMINAL_EVENTS = ("job.succeeded", "job.partial", "job.failed", "job.cancelled")
EVENT_TYPES = ("job.accepted", "job.running", *TERMINAL_EVENTS)


def event_id(job: str, event_type: str) -> str:
    """The same for the same job and type, whoever computes it and whenever."""
    return "evt_" + hashlib.sha256(f"{job}\n{event_type}".encode()).hexdigest()[:32]


def event_body(
    event_type: str, at: datetime, *, job: str, state: str, counts: dict[str, int], links: dict[str, str]
) -> bytes:
    """The body as it is stored, signed and sent: ids, state, counts and links, nothing of a patient."""
    about: dict[str, Any] = {"id": job, "state": state, "counts": counts, "links": links}
    return json.dumps({"type": event_type, "timestamp": at.isoformat(), "data": about}).encode()
