"""What the simulator was sent, answered and worked on; read at `GET /_simulator`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """Written by the event loop's thread alone, so plain numbers do.

    `scores` are requests that reached the model, `rows` the rows in them that it looked at. `in_flight` are
    requests being worked on now, those the gateway gave up on (408) included. `images` counts rows by the sha256
    of the picture as 8-bit RGB in C order; `kinds` by mode and size as sent, e.g. "RGB 1024x1024".
    """

    scores: int = 0
    rows: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    pending: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    busy_seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        self.scores += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, seconds: float) -> None:
        self.in_flight -= 1
        self.busy_seconds += seconds

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))
