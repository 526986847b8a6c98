"""What an endpoint's error means for its gate and for its concurrency limit."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointDenied, EndpointError, EndpointThrottled, EndpointTimeout, FrameRefused

#: The longest time that a gate stays closed: where an operator must fix something, while the endpoint is being updated,
#: and where the endpoint may recover at any moment.
LONGEST = timedelta(minutes=5)
ROLLED = timedelta(seconds=30)
SOON = timedelta(seconds=15)

#: The kind of overload: too many requests in flight (`pending`), too many per second (`rate`), or any other (`slow`).
Overload = Literal["", "pending", "rate", "slow"]


@dataclass(frozen=True, slots=True)
class Report:
    """How one score ended, as reported to the flow control."""

    #: `good`; `failed` on this frame; `busy`: closes the gate after three in a row or for `retry_after`; `denied`:
    #: closes it at once; `cancelled`: says nothing about the endpoint.
    kind: Literal["good", "failed", "busy", "denied", "cancelled"]
    #: Whether the container may still be working.
    keep_slot: bool = False
    retry_after: timedelta = timedelta(0)
    #: The first pause of the gate without a `retry_after`.
    base: timedelta = timedelta(seconds=1)
    #: The longest pause of the gate without a `retry_after`.
    cap: timedelta = SOON
    #: One word, which is counted and shown.
    reason: str = ""
    overload: Overload = ""


GOOD = Report("good")
CANCELLED = Report("cancelled", keep_slot=True)


def report_of(error: EndpointError) -> Report:
    """Return the report of a score that ended with `error`."""
    kind = str(error.fields.get("kind") or error.code)
    keep_slot = bool(error.fields.get("still_working"))
    if isinstance(error, FrameRefused):
        return Report("failed", keep_slot, reason=error.code)
    if isinstance(error, EndpointDenied) or kind == "no_deployment":
        cap = LONGEST if isinstance(error, EndpointDenied) else ROLLED
        return Report("denied", keep_slot, base=timedelta(seconds=5), cap=cap, reason=kind)
    asked = min(timedelta(seconds=error.fields.get("retry_after_s") or 0), LONGEST)
    return Report("busy", keep_slot, retry_after=asked, reason=kind, overload=_overload(error, kind))


def _overload(error: EndpointError, kind: str) -> Overload:
    if isinstance(error, EndpointThrottled):
        return "rate" if kind == "rate" else "pending"
    return "slow" if isinstance(error, EndpointTimeout) or kind in ("unavailable", "gateway_timeout") else ""
