"""The result of a check, and how to create one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

#: `skip` means that something was not checked. The text of the finding gives the reason.
State = Literal["ok", "warn", "wrong", "skip"]
#: The smallest differences between two clocks that cause a warning and an error. With a difference of some minutes,
#: receivers refuse callbacks as too old, and the store refuses requests because the time in their signature is wrong.
_TOLD, _BAD = timedelta(seconds=5), timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `said` and `hint` contain no secret, no patient data and no path that a setting names."""

    check: str
    state: State
    said: str
    hint: str = ""


def ok(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def skip(check: str, said: str) -> Finding:
    return Finding(check, "skip", said)


def warn(check: str, said: str, hint: str) -> Finding:
    return Finding(check, "warn", said, hint)


def wrong(check: str, said: str, hint: str) -> Finding:
    return Finding(check, "wrong", said, hint)


def clock(check: str, ahead: timedelta, give: timedelta) -> Finding:
    """Return a finding about the difference between another clock and this machine's clock.

    `ahead` is the time by which the other clock is ahead, and `give` is the uncertainty of this measurement.
    """
    apart = max(abs(ahead) - give, timedelta(0))
    seconds = ahead.total_seconds()
    said = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's clock"
    if apart < _TOLD:
        return ok(check, "in agreement with this machine's clock")
    hint = (
        "synchronize every machine's clock with NTP (chrony, systemd-timesyncd); containers use the clock of their host"
    )
    return Finding(check, "warn" if apart < _BAD else "wrong", said, hint)
