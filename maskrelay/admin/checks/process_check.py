"""Check the running processes of the service. The ledger contains records of them."""

from collections.abc import Iterator
from datetime import timedelta

from maskrelay.admin.checks.finding import Finding, ok, skip, warn, wrong
from maskrelay.errors import LedgerUnavailable, SettingsError
from maskrelay.ledger import Ledger, open_ledger
from maskrelay.ledger.processes import Processes, see_processes
from maskrelay.settings import Settings

#: There is a warning if the last sweep was longer ago than this many sweep periods, and also longer than this time.
_PERIODS, _QUIET = 6, timedelta(seconds=30)
_ROLES = {"plan": "control", "finish": "control", "tabulate": "control"}


def check(settings: Settings) -> Iterator[Finding]:
    """Check the sweep, the worker loops, the expiry time of the drain flag, and the gates."""
    try:
        ledger = _ledger(settings)
        seen = see_processes(ledger)
        yield _sweep(seen, settings.sweep_period)
        yield from _work(seen)
        yield _drain(seen)
        yield from _gates(ledger)
    except (LedgerUnavailable, SettingsError, ValueError):
        yield skip("processes", "not checked, because Redis cannot be queried")


def _ledger(settings: Settings) -> Ledger:
    return open_ledger(
        settings.redis_url.get_secret_value(),
        lambda _task: None,  # this process wakes no workers
        claim_lease=settings.claim_lease,
        step_lease=settings.step_lease,
        delivery_lease=settings.delivery_lease,
    )


def _sweep(seen: Processes, period: timedelta) -> Finding:
    hint = "start a control worker (python -m worker control): only its sweep finds lost work"
    if seen.swept_ago is None:
        return warn("sweep", "no sweep has run since this Redis was started", hint)
    if seen.swept_ago > max(_PERIODS * period, _QUIET):
        return warn("sweep", f"no sweep has run for {seen.swept_ago.total_seconds():.0f} s", hint)
    return ok("sweep", f"the last sweep was {seen.swept_ago.total_seconds():.0f} s ago")


def _work(seen: Processes) -> Iterator[Finding]:
    for task, waiting in seen.waiting.items():
        loops, role = seen.loops[task], _ROLES.get(task, task)
        if waiting and not loops:
            said = f"{waiting} waiting, but no worker is running for them"
            yield warn(
                f"work {task}",
                said,
                f"start a worker: python -m worker {role} (segment workers also stop while a gate is closed)",
            )
        else:
            yield ok(f"work {task}", f"{waiting} waiting, {loops} worker loops running")


def _drain(seen: Processes) -> Finding:
    if seen.drain_left:
        hint = "run redis-cli DEL mr:drain; maskrelay never sets this key without an expiry time"
        return warn("drain", "the drain flag has no expiry time, so no frame whose worker died is claimed again", hint)
    return ok("drain", "no drain flag without an expiry time")


def _gates(ledger: Ledger) -> Iterator[Finding]:
    """Check the gates of the endpoints that workers have announced."""
    flow = ledger.flow(())
    for endpoint in ledger.endpoints.known():
        name, state = f"gate {endpoint.name}", flow.state(endpoint.name)
        if state.gate == "open":
            yield ok(name, f"open, {state.in_flight} in flight")
        elif state.gate == "frozen":
            seconds = state.closed_for.total_seconds()
            said = f"frozen for {seconds:.0f} s more: Redis lost its data, and requests may still be in flight"
            yield warn(name, said, "wait; the gate opens by itself")
        else:
            steps = "docs/howto/operations.md says what to do for each state"
            hint = f"{steps}; the gate opens when the endpoint scores the canary image"
            yield wrong(name, f"{state.gate}: {state.reason or 'no reason recorded'}", hint)
