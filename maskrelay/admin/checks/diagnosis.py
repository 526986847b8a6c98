"""Run all checks in order. If a check fails with an error, the others still run."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from maskrelay.admin.checks import (
    endpoint_check,
    named_files,
    process_check,
    redis_server,
    store,
)
from maskrelay.admin.checks.environment import read
from maskrelay.admin.checks.finding import Finding, skip, wrong
from maskrelay.settings import Settings, name_of

#: The checks by name. Each comes with the settings that it requires.
_CHECKS: dict[str, tuple[Callable[[Settings], Iterable[Finding]], frozenset[str]]] = {
    "files": (named_files.check, frozenset()),
    "redis": (redis_server.check, frozenset({"redis_url"})),
    "store": (store.check, frozenset({"storage_url"})),
    "endpoint": (endpoint_check.check, frozenset()),
    "processes": (process_check.check, frozenset({"redis_url"})),
}


def diagnose(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check everything that a process with this environment depends on. Yield each finding as soon as it is made."""
    reading = read(environment)
    yield from reading.findings
    for name, (check, needs) in _CHECKS.items():
        unset = sorted(map(name_of, needs & reading.unset))
        if unset:
            yield skip(name, f"not checked, because it needs {', '.join(unset)}")
        else:
            yield from _guarded(name, check, reading.settings)


def _guarded(name: str, check: Callable[[Settings], Iterable[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except Exception as error:  # noqa: BLE001 - an unexpected error is a finding too
        # Only the type of the error is shown, because its text may contain a secret.
        yield wrong(
            name, f"the check itself failed ({type(error).__name__})", "report this as a bug, with the versions in use"
        )
