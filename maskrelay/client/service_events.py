"""The events of a job, as the service sends them while the job runs (server-sent events)."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ValidationError

from maskrelay.client.exchange import Exchange
from maskrelay.client.service_calls import pause_after
from maskrelay.contract.records.job import TERMINAL
from maskrelay.contract.views.job_views import JobShown
from maskrelay.errors import MaskrelayError, ServiceAnswerUnknown, ServiceUnreachable

#: The longest line of an event, in bytes. A job's document is a few kilobytes.
_LONGEST_LINE = 4 << 20
#: The seconds for which a lost connection is opened again and again.
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event of a job. `data` is its JSON document, and `job` is the job, if the document is one."""

    id: str
    type: str
    data: dict[str, Any]
    job: JobShown | None = None


class EventParser:
    """A parser of server-sent events, which gets the stream piece by piece. Source: the HTML standard, section 9.2."""

    def __init__(self) -> None:
        self.last_id: str = ""
        self._rest = b""
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[tuple[str, str, str]]:
        """Yield the id, the type and the data of each event that is complete."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise ServiceAnswerUnknown("The service sent an event that is larger than this client reads.")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if text:
                self._field(text)
            elif self._data:
                yield self.last_id, self._type or "message", "\n".join(self._data)
                self._type, self._data = "", []
            else:
                self._type = ""

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self.last_id = value


class JobEvents:
    """The state of following one job's events: what to ask for, what has come, and whether to connect again."""

    def __init__(self, job_id: str) -> None:
        self._job = job_id
        self._parser = EventParser()
        self._tries = 0
        self._given_up = time.monotonic() + _PATIENCE_S
        self.ended: bool = False

    def exchange(self) -> Exchange:
        headers = {"Accept": "text/event-stream"}
        if self._parser.last_id:
            headers["Last-Event-ID"] = self._parser.last_id
        last, self._parser = self._parser.last_id, EventParser()
        self._parser.last_id = last
        return Exchange("GET", f"/v1/jobs/{self._job}/events", headers=headers)

    def feed(self, piece: bytes) -> Iterator[JobEvent]:
        """Yield the events that are complete. After the event of the end of the job, `ended` is true."""
        self._tries, self._given_up = 0, time.monotonic() + _PATIENCE_S
        for event_id, kind, data in self._parser.feed(piece):
            event = _event(event_id, kind, data)
            self.ended = self.ended or (event.job is not None and event.job.state in TERMINAL)
            yield event

    def pause(self, error: MaskrelayError | httpx.HTTPError | None) -> float:
        """Return the seconds until the next connection. Raises the error if connecting again cannot help.

        The error is None if the service has closed the stream.
        """
        self._tries += 1
        if isinstance(error, httpx.HTTPError):
            error = ServiceUnreachable(f"the stream of events broke ({type(error).__name__})")
        error = error or ServiceUnreachable("the service closed the stream of events")
        if not error.retryable or time.monotonic() > self._given_up:
            raise error
        return pause_after(self._tries, error)


def _event(event_id: str, kind: str, data: str) -> JobEvent:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ServiceAnswerUnknown("The service sent an event that is not JSON.") from None
    if not isinstance(document, dict):
        raise ServiceAnswerUnknown("The service sent an event that is not a JSON object.")
    try:
        return JobEvent(event_id, kind, document, JobShown.model_validate(document))
    except ValidationError:
        return JobEvent(event_id, kind, document)
