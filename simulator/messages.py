"""The messages between the layers: one request, one response."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

Body = bytes | bytearray


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are in lower case; `body_bytes` counts also what was too long to keep."""

    method: str
    path: str
    headers: dict[str, str]
    body: Body = b""
    body_bytes: int = 0


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    `cut` says how the connection ends early: "reset" or "truncated"; None is a whole answer. The body takes at least
    `drip_s` seconds to go out.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None
    drip_s: float = 0.0

    def with_headers(self, **headers: str) -> "Answer":
        """The same answer with more headers; an underscore in a name stands for a dash."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


def json_answer(status: int, content: Any, **headers: str) -> Answer:
    """An answer whose body is JSON in the form `json.dumps` gives by default."""
    answer = Answer(status, json.dumps(content).encode(), {"content-type": "application/json"})
    return answer.with_headers(**headers)
