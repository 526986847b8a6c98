"""Logging, as lines of text or as lines of JSON for a log collector. Both have the same fields.

The fields of a line are passed as `extra`, and only those in `FIELDS` are written. They cannot contain patient data,
because they are ids, numbers, codes and names of this service. For an exception, the type and the location are written.
The message of an exception is never written, because it may quote the input.
"""

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

Format = Literal["text", "json"]
FIELDS = (
    "job_id", "frame", "item", "endpoint", "code", "event", "attempt", "result", "source", "output", "alone", "reason",
    "step", "tries", "lines", "parts", "trace_id", "watch", "gray", "webp",
)  # fmt: skip
_TEXT = "%(asctime)s %(levelname)s %(processName)s %(name)s %(message)s"


def configure(level: str, form: Format, stream: TextIO | None = None) -> None:
    """Configure logging to write to `stream`, or to standard error. The previous configuration is replaced."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_without_words_of_tasks)
    handler.addFilter(Flood())
    handler.setFormatter(JsonLines() if form == "json" else TextLines(_TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for chatty in ("httpx", "azure", "msal"):  # at lower levels, these libraries log URLs
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _without_words_of_tasks(record: logging.LogRecord) -> bool:
    """Replace an exception in Celery's log by its type, because the exception's message may quote an input."""
    if record.name == "celery.app.trace" and isinstance(record.args, dict) and "exc" in record.args:
        kind = re.match(r"[\w.]*", str(record.args["exc"]))
        record.args = {**record.args, "exc": kind[0] if kind else ""}
    return True


class Flood(logging.Filter):
    """A limit on the number of lines that one location in the code may write in a period.

    A line that is repeated a million times would fill the disk and hide all other lines. Lines above the limit are only
    counted. The next line that the same location writes contains their number.
    """

    def __init__(self, most: int = 500, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        #: For each location in the code, the start of its current period, and the number of lines since then.
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this line is written."""
        place, now = (record.pathname, record.lineno), self._clock()
        with self._lock:
            began, lines = self._seen.get(place, (now, 0))
            left_out = 0
            if now - began >= self._seconds:
                left_out = max(0, lines - self._most)
                began, lines = now, 0
            self._seen[place] = began, lines + 1
        if lines >= self._most:
            return False
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more lines of this kind were left out)", None
        return True


def _bound(record: logging.LogRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}


class TextLines(logging.Formatter):
    """A formatter of lines of text. The fields are added to a line as `name=value`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """Return the line with its fields."""
        fields = "".join(f" {name}={value}" for name, value in _bound(record).items())
        return super().formatMessage(record) + fields

    def formatException(self, ei) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001, N802  logging's own
        """Return the location and the type of the exception."""
        return _place(ei[1])


class JsonLines(logging.Formatter):
    """A formatter that writes each record as a JSON object on one line.

    The object contains the time, level, process, logger, message and fields, and the type and location of an exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.processName,
            "logger": record.name,
            "message": record.getMessage(),
            **_bound(record),
        }
        if record.exc_info:
            line["exception"] = _place(record.exc_info[1])
        return json.dumps(line, default=str, ensure_ascii=False)


def _place(error: BaseException | None) -> str:
    if error is None:
        return ""
    return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
