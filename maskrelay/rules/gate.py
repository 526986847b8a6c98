"""What an endpoint's error means for its gate."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from maskrelay.errors import EndpointDenied, EndpointError, EndpointThrottled, FrameRefused

LONGEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Report:
    """One score's end, as the flow control takes it.

    kind: `good`; `failed` on this frame; `busy`: closes the gate after three in a row or for `retry_after`; `denied`:
    closes it at once; `cancelled`: says nothing of the endpoint. keep_slot: the container may still be working.
    """

    kind: Literal["good", "failed", "busy", "denied", "cancelled"]
    keep_slot: bool = False
    retry_after: timedelta = timedelta(0)
    base: timedelta = timedelta(seconds=1)
    reason: str = ""


GOOD = Report("good")
CANCELLED = Report("cancelled", keep_slot=True)


def report_of(error: EndpointError) -> Report:
    """The report of a score that ended in `error`."""
    kind = str(error.fields.get("kind") or error.code)
    keep_slot = bool(error.fields.get("still_working"))
    if isinstance(error, FrameRefused):
        return Report("failed", keep_slot, reason=error.code)
    if isinstance(error, EndpointDenied) or kind == "no_deployment":
        return Report("denied", keep_slot, base=timedelta(seconds=5), reason=kind)
    asked = min(timedelta(seconds=error.fields.get("retry_after_s") or 0), LONGEST)
    if isinstance(error, EndpointThrottled) and not asked:
        asked = timedelta(milliseconds=250)
    return Report("busy", keep_slot, retry_after=asked, reason=kind)
