"""Events for the caller of a job. The body of an event never changes. A job has at most one event of each type."""

import hashlib
import json
from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field

from maskrelay.contract.records.job import Counts, JobState

TerminalEvent = Literal["job.succeeded", "job.partial", "job.failed", "job.cancelled"]
EventType = Literal["job.accepted", "job.running", TerminalEvent]

#: The name, among the deliveries of a job, of the delivery that the option `store_to` asks for: its segmentations are
#: sent to an archive, or its files are written to a store. It is no event for a callback.
STORED_EVENT = "dicom.stored"
TERMINAL_EVENTS: tuple[str, ...] = get_args(TerminalEvent)
EVENT_TYPES: tuple[str, ...] = get_args(EventType)


class JobEventLinks(BaseModel):
    self: str
    items: str


class JobEventData(BaseModel):
    """The state of the job at the time of the event."""

    id: str
    state: JobState
    counts: Counts
    links: JobEventLinks


class JobEvent(BaseModel):
    """The body of a callback."""

    type: EventType
    timestamp: datetime = Field(description="When the event happened, in UTC.")
    data: JobEventData


def event_id(job: str, event_type: str) -> str:
    """Return the id of an event. The same job and type always give the same id."""
    return "evt_" + hashlib.sha256(f"{job}\n{event_type}".encode()).hexdigest()[:32]


def event_body(
    event_type: str, at: datetime, *, job: str, state: str, counts: dict[str, int], links: dict[str, str]
) -> bytes:
    """Return the body of an event, which is stored, signed and sent. It contains nothing about a patient."""
    about: dict[str, Any] = {"id": job, "state": state, "counts": counts, "links": links}
    return json.dumps({"type": event_type, "timestamp": at.isoformat(), "data": about}).encode()
