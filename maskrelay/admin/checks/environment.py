"""The settings, as far as they are valid.

Invalid settings are reported and then ignored, so the other settings can be checked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from maskrelay.admin.checks.finding import Finding, ok, warn, wrong
from maskrelay.errors import SettingsError
from maskrelay.settings import PREFIX, Settings, name_of

#: Placeholders for required settings that are missing or invalid. A check that needs such a setting is skipped, and its
#: finding says so.
_STAND_INS = {"redis_url": "redis://unset.invalid", "storage_url": "file:///", "server_key": "unset" * 8}
#: A key with fewer different characters than this was probably typed by hand, not generated.
_DIFFERENT = 10
_HINT = "docs/reference/settings.md lists every setting"
_HINTS = {
    "clocks out of order": "change one of the two, or unset both; otherwise leases lapse while work is in progress",
    "cannot be read": "mount the file, and give the user of the process permission to read it",
    "cannot both be set": "remove one of the two settings",
    name_of(
        "server_key"
    ): "generate one with openssl rand -hex 32 and keep it: it encrypts callback secrets and derives job ids",
}


@dataclass(frozen=True, slots=True)
class EnvironmentReading:
    """The settings that could be read. `unset` names the fields that have a placeholder as their value."""

    settings: Settings
    unset: frozenset[str]
    findings: tuple[Finding, ...]


def read(environment: Mapping[str, str]) -> EnvironmentReading:
    """Return the settings without those that are invalid. Each problem is a finding."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    unset: set[str] = set()
    findings: list[Finding] = []
    while True:
        try:
            settings = Settings.from_environment(given)
        except SettingsError as error:
            findings.append(_said(error))
            unset |= _leave_out(given, error.names)
        else:
            findings = findings or [ok("settings", "all values are valid")]
            return EnvironmentReading(settings, frozenset(unset), (*findings, *_weak(settings, unset)))


def _said(error: SettingsError) -> Finding:
    hint = next((hint for words, hint in _HINTS.items() if words in error.detail), _HINT)
    return wrong("settings", error.detail, hint)


def _leave_out(given: dict[str, str], names: tuple[str, ...]) -> set[str]:
    """Remove the settings `names` from `given`, and return the fields for which a placeholder was inserted instead."""
    for name in names:
        given.pop(name, None)
    stood_in = {field for field in _STAND_INS if {name_of(field), f"{name_of(field)}_FILE"} & set(names)}
    for field in stood_in:
        given.pop(f"{name_of(field)}_FILE", None)
        given[name_of(field)] = _STAND_INS[field]
    return stood_in


def _weak(settings: Settings, unset: set[str]) -> Iterator[Finding]:
    if "server_key" in unset:
        return
    if len(set(settings.server_key.get_secret_value())) < _DIFFERENT:
        said = f"{name_of('server_key')} has only a few different characters, so it can be guessed"
        yield warn("server key", said, _HINTS[name_of("server_key")])
    else:
        yield ok("server key", "set")
