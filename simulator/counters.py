"""Counters of the requests that were received, answered and processed. `GET /_simulator` returns them."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simulator.meters import Level, Window

RATE_SPAN_S = 1.0
# The span is long enough to average over bursts, and short enough to detect a client that exceeds a limit.
BYTES_SPAN_S = 10.0


@dataclass
class Counters:
    """The counters. They are plain numbers, because only the thread of the event loop writes them.

    `scores` are requests that reached the model, and `rows` are the rows in them that it processed. `working` are the
    slots in use, including those of requests on which the gateway gave up (408). `capacity` is the number of slots.
    `pending` are requests that the gateway has passed on and the container has not completed.

    `refused` counts by kind. `images` counts rows by the SHA-256 of the image as 8-bit RGB in C order. `kinds` counts
    rows by mode and size as sent, for example "RGB 1024x1024".
    """

    scores: int = 0
    rows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    delay_seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)
    working: Level = field(default_factory=Level)
    capacity: Level = field(default_factory=Level)
    pending: Level = field(default_factory=Level)
    rate: Window = field(default_factory=lambda: Window(RATE_SPAN_S))
    traffic: Window = field(default_factory=lambda: Window(BYTES_SPAN_S))

    def begin(self, at: float) -> None:
        """Record that a slot is in use since `at`."""
        self.scores += 1
        self.working.change(1, at)

    def end(self, at: float) -> None:
        """Record that the use of a slot ended at `at`."""
        self.working.change(-1, at)

    def as_json(self) -> dict[str, Any]:
        """Return all counters and the current time. Rates can be computed from the differences of two such readings."""
        at = time.monotonic()
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, Level | Window)}
        return {
            **plain,
            "clock": at,
            "in_flight": self.working.now,
            "max_in_flight": self.working.most,
            "busy_seconds": round(self.working.seconds(at), 6),
            "capacity": self.capacity.now,
            "capacity_seconds": round(self.capacity.seconds(at), 6),
            "pending": self.pending.now,
            "max_pending": self.pending.most,
            "max_rate": self.rate.most / self.rate.span_s,
            "max_bytes_per_s": self.traffic.most / self.traffic.span_s,
        }

    def reset(self) -> None:
        """Set all counts to 0, except those of work in progress."""
        fresh, at = Counters(), time.monotonic()
        for name, value in vars(fresh).items():
            if isinstance(value, Level):
                getattr(self, name).reset(at)
            else:
                setattr(self, name, value)
