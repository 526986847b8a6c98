"""What an endpoint's error means for its gate and for its concurrency limit."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointDenied, EndpointError, EndpointThrottled, EndpointTimeout, FrameRefused

#: A gate is closed for so long at most: where somebody must mend something, while the endpoint is being changed, and
#: where it may be back at any moment.
LONGEST = timedelta(minutes=5)
ROLLED = timedelta(seconds=30)
SOON = timedelta(seconds=15)

#: How much was asked: too many in flight (`pending`), too many a second (`rate`), or too much in another way (`slow`).
Overload = Literal["", "pending", "rate", "slow"]


@dataclass(frozen=True, slots=True)
class Report:
    """One score's end, as the flow control takes it.

    kind: `good`; `failed` on this frame; `busy`: closes the gate after three in a row or for `retry_after`; `denied`:
    closes it at once; `cancelled`: says nothing of the endpoint. keep_slot: the container may still be working. base
    and cap: the first and the longest pause of the gate without a `retry_after`. reason: one word, counted and shown.
    """

    kind: Literal["good", "failed", "busy", "denied", "cancelled"]
    keep_slot: bool = False
    retry_after: timedelta = timedelta(0)
    base: timedelta = timedelta(seconds=1)
    cap: timedelta = SOON
    reason: str = ""
    overload: Overload = ""


GOOD = Report("good")
CANCELLED = Report("cancelled", keep_slot=True)


def report_of(error: EndpointError) -> Report:
    """The report of a score that ended in `error`."""
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
