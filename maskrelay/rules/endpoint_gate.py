"""The meaning of an endpoint's error for its gate and for the limit on requests in flight."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointDenied, EndpointError, EndpointThrottled, EndpointTimeout, FrameRefused

#: The longest time that a gate stays closed if an operator must fix something.
LONGEST = timedelta(minutes=5)
#: The longest time that a gate stays closed while the endpoint is being updated.
ROLLED = timedelta(seconds=30)
#: The longest time that a gate stays closed if the endpoint may recover at any moment.
SOON = timedelta(seconds=15)

#: The kind of overload: too many requests in flight (`pending`), too many per second (`rate`), or any other kind
#: (`slow`). It is empty if there is no overload.
Overload = Literal["", "pending", "rate", "slow"]


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one score, as it is reported to the flow control."""

    #: The result of the score. `good` is a success. `failed` is a failure that may be caused by the frame. It closes
    #: the gate if three different frames have failed since the last success. `busy` closes the gate if there is a
    #: `retry_after`, or if it is at least the third failure since the last success. An overload that only lowers the
    #: limit or the rate of requests is not counted as a failure. `denied` closes the gate at once. `cancelled` says
    #: nothing about the endpoint.
    kind: Literal["good", "failed", "busy", "denied", "cancelled"]
    #: Whether the slot stays occupied, because the endpoint's container may still be working on the request.
    keep_slot: bool = False
    retry_after: timedelta = timedelta(0)
    #: The first pause of the gate if there is no `retry_after`.
    base: timedelta = timedelta(seconds=1)
    #: The longest pause of the gate if there is no `retry_after`.
    cap: timedelta = SOON
    #: The reason as a short name, for metrics and for operators.
    reason: str = ""
    overload: Overload = ""


GOOD = Report("good")
CANCELLED = Report("cancelled", keep_slot=True)
#: Like CANCELLED, but the slot becomes free. This report is used if the form of the request may have caused the error.
NOT_THE_ENDPOINTS = Report("cancelled")


def report_of(error: EndpointError) -> Report:
    """Return the report of a score that ended with `error`."""
    kind, keep_slot = error.kind or error.code, error.still_working
    if isinstance(error, FrameRefused):
        return Report("failed", keep_slot, reason=error.code)
    if isinstance(error, EndpointDenied) or kind == "no_deployment":
        cap = LONGEST if isinstance(error, EndpointDenied) else ROLLED
        return Report("denied", keep_slot, base=timedelta(seconds=5), cap=cap, reason=kind)
    asked = min(timedelta(seconds=error.retry_after_s or 0), LONGEST)
    return Report("busy", keep_slot, retry_after=asked, reason=kind, overload=_overload(error, kind))


def _overload(error: EndpointError, kind: str) -> Overload:
    if isinstance(error, EndpointThrottled):
        return "rate" if kind == "rate" else "pending"
    return "slow" if isinstance(error, EndpointTimeout) or kind in ("unavailable", "gateway_timeout") else ""
