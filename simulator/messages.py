"""The messages between the layers: one request, and one response."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

Body = bytes | bytearray


@dataclass(frozen=True)
class Request:
    """An HTTP request. Header names are in lower case.

    `body_bytes` also counts the bytes of a body that is too long to keep.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Body = b""
    body_bytes: int = 0


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    `cut` says how the connection ends early: "reset" or "truncated", or None for a complete response. Sending the body
    takes at least `drip_s` seconds.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None
    drip_s: float = 0.0

    def with_headers(self, **headers: str) -> "Answer":
        """Return the same response with more headers. Underscores in names become dashes."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


def json_answer(status: int, content: Any, **headers: str) -> Answer:
    """Return a response whose body is JSON, formatted as `json.dumps` does by default."""
    answer = Answer(status, json.dumps(content).encode(), {"content-type": "application/json"})
    return answer.with_headers(**headers)
