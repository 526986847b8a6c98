"""The processes around the ledger, by what they leave in it."""

from collections.abc import Iterator
from datetime import timedelta

from maskrelay.admin.checks.finding import Finding, ok, skip, warn, wrong
from maskrelay.errors import LedgerUnavailable, SettingsError
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.seen import Seen, see
from maskrelay.settings import Settings

#: Nobody has swept for so many periods, or for so long: then no control worker lives.
_PERIODS, _QUIET = 6, timedelta(seconds=30)
_ROLES = {"plan": "control", "finish": "control"}


def check(settings: Settings) -> Iterator[Finding]:
    """Sweep, loops, the flag of a child that drains, and the gates."""
    try:
        ledger = _ledger(settings)
        seen = see(ledger)
        yield _sweep(seen, settings.sweep_period)
        yield from _work(seen)
        yield _drain(seen)
        yield from _gates(ledger)
    except (LedgerUnavailable, SettingsError, ValueError):
        yield skip("processes", "not looked at: Redis cannot be asked")


def _ledger(settings: Settings) -> Ledger:
    return open_ledger(
        settings.redis_url.get_secret_value(),
        lambda _task: None,  # nothing is woken from here
        claim_lease=settings.claim_lease,
        step_lease=settings.step_lease,
        delivery_lease=settings.delivery_lease,
    )


def _sweep(seen: Seen, period: timedelta) -> Finding:
    hint = "start a control worker (python -m worker control): lost work is found by its sweep alone"
    if seen.swept_ago is None:
        return warn("sweep", "nobody has swept since this Redis began", hint)
    if seen.swept_ago > max(_PERIODS * period, _QUIET):
        return warn("sweep", f"nobody has swept for {seen.swept_ago.total_seconds():.0f} s", hint)
    return ok("sweep", f"{seen.swept_ago.total_seconds():.0f} s ago")


def _work(seen: Seen) -> Iterator[Finding]:
    for task, waiting in seen.waiting.items():
        loops, role = seen.loops[task], _ROLES.get(task, task)
        if waiting and not loops:
            said = f"{waiting} wait and nobody works on them"
            yield warn(
                f"work {task}", said, f"start a worker: python -m worker {role}; closed gates stop segment workers"
            )
        else:
            yield ok(f"work {task}", f"{waiting} wait, {loops} loops run")


def _drain(seen: Seen) -> Finding:
    if seen.drain_left:
        hint = "redis-cli DEL mr:drain; nothing of ours writes it without an end"
        return warn("drain", "the flag of a draining child has no end: no suspect frame is claimed", hint)
    return ok("drain", "no flag is left")


def _gates(ledger: Ledger) -> Iterator[Finding]:
    """Of the endpoints that workers have announced."""
    flow = ledger.flow(())
    for endpoint in ledger.endpoints.known():
        name, state = f"gate {endpoint.name}", flow.look(endpoint.name)
        if state.gate == "open":
            yield ok(name, f"open, {state.in_flight} in flight")
        elif state.gate == "frozen":
            seconds = state.closed_for.total_seconds()
            said = f"frozen for {seconds:.0f} s more: Redis is new, and scores may be under way that it lost"
            yield warn(name, said, "wait: it opens by itself")
        else:
            hint = "the state's row in docs/operations.md says what to do; it opens when the canary is answered"
            yield wrong(name, f"{state.gate}: {state.reason or 'no reason given'}", hint)
