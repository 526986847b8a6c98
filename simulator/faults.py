"""Fault injection: which requests a fault affects, and how it changes the response."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from simulator.container import script_failed
from simulator.messages import Answer, Body, json_answer

HTML = b"<html><head><title>Service Unavailable</title></head><body>upstream connect error</body></html>"
# A lean answer consists of eight bytes of signature, four bytes with the length of its header, the JSON header,
# and the maps.
LEAN_START = 12

TOO_MANY = {"pending": "Too many pending requests.", "rate": "Rate-limited: too many requests per second."}


@dataclass
class Fault:
    """One entry of the control body's `fail`.

    - `status` is an HTTP status or a name in `SPOILERS`.
    - `times` is how often the fault applies; None means until it is replaced.
    - `rate` is the share of requests that it affects.
    - `when_prompt` restricts it to requests whose body contains this text.
    - `kind` is one of the two kinds of 429, and `inner_status` is the container's status in a 424.
    - `retry_after` is sent unchanged as the header of that name.
    - `seconds` is the duration of a slow body.
    """

    status: int | str
    times: int | None = None
    rate: float = 1.0
    when_prompt: str = ""
    kind: str | None = None
    inner_status: int = 500
    retry_after: str | int | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) and self.status not in SPOILERS:
            raise ValueError(f"there is no fault {self.status!r}")
        if self.kind is not None and (self.status != 429 or self.kind not in TOO_MANY):
            raise ValueError("kind must be pending or rate, and is only for 429")
        if (self.status == "slow") != (self.seconds > 0):
            raise ValueError("seconds is required for slow, and only allowed for slow")
        if not 0 < self.rate <= 1:
            raise ValueError("rate must be above 0 and at most 1")

    def strikes(self, body: Body, random: Random) -> bool:
        """Return whether this request is affected. If it is, one of `times` is used up."""
        if self.times == 0 or self.when_prompt.encode() not in body:
            return False
        if self.rate < 1 and random.random() >= self.rate:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    async def apply(self, rightly: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the faulty response. `rightly` returns the right response, and only faults that need it call it."""
        if isinstance(self.status, str):
            return replace(await SPOILERS[self.status](rightly), drip_s=self.seconds)
        if self.status == 424:
            answer = model_error(script_failed(self.inner_status))
        else:
            message = TOO_MANY[self.kind] if self.kind else f"Simulated {self.status}"
            answer = json_answer(self.status, {"message": message})
        return answer if self.retry_after is None else answer.with_headers(retry_after=str(self.retry_after))


def model_error(answer: Answer) -> Answer:
    """Return the gateway's response with status 424 to an error of the container.

    Its body and headers are the container's.
    """
    code, reason = str(answer.status), json.loads(answer.body)["message"]
    return replace(answer, status=424).with_headers(
        ms_azureml_model_error_statuscode=code, ms_azureml_model_error_reason=reason
    )


def parse_faults(asked: Any) -> list[Fault]:
    """Parse the faults of a control body: an object, a list, or null for none. Raises ValueError or TypeError."""
    entries = asked if isinstance(asked, list) else [asked] if asked else []
    return [Fault(**entry) for entry in entries]


async def _reset(_rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    return Answer(0, cut="reset")


async def _html(_rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    return Answer(200, HTML, {"content-type": "text/html"})


async def _slow(rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    return await rightly()


async def _truncated(rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    return replace(await rightly(), cut="truncated")


async def _short_count(rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the response without its last row."""
    return _with_rows(await rightly(), lambda rows: rows[:-1])


async def _bad_dtype(rightly: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the right bytes with a dtype that is not allowed. For a volume, return bytes that are not a volume."""

    def relabel(row: dict[str, Any]) -> dict[str, Any]:
        if "nifti_file" in row:
            return {"nifti_file": json.dumps({"data": ""})}
        if "maps" in row:
            return {**row, "dtype": "int64"}
        features = {**json.loads(row["image_features"]), "dtype": "int64"}
        return {**row, "image_features": json.dumps(features)}

    return _with_rows(await rightly(), lambda rows: [relabel(row) for row in rows])


def _with_rows(answer: Answer, change: Callable[[list[Any]], list[Any]]) -> Answer:
    if answer.status != 200:
        return answer
    if answer.headers.get("content-type") == "application/json":
        return replace(answer, body=json.dumps(change(json.loads(answer.body))).encode())
    start = LEAN_START + int.from_bytes(answer.body[LEAN_START - 4 : LEAN_START], "big")
    header = json.loads(answer.body[LEAN_START:start])
    changed = json.dumps({**header, "rows": change(header["rows"])}).encode()
    prefix = answer.body[: LEAN_START - 4] + len(changed).to_bytes(4, "big")
    return replace(answer, body=prefix + changed + answer.body[start:])


SPOILERS: dict[str, Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Answer]]] = {
    "reset": _reset,
    "html": _html,
    "slow": _slow,
    "truncated": _truncated,
    "short_count": _short_count,
    "bad_dtype": _bad_dtype,
}
