"""The environment that `maskrelay doctor` checks: its own, that of the embedded stack, or only that of a client."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskrelay.admin.checks.finding import Finding, ok, skip
from maskrelay.local_stack import DEFAULT_FOLDER, read_local_stack
from maskrelay.settings import CLIENT_NAMES, PREFIX

#: The settings that every process of the service needs. If none of them is set, this is no process of the service.
_OF_EVERY_PROCESS = ("MASKRELAY_REDIS_URL", "MASKRELAY_STORAGE_URL", "MASKRELAY_SERVER_KEY")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is to be checked. `environment` is None if only the client is."""

    environment: Mapping[str, str] | None
    findings: tuple[Finding, ...] = ()


def surroundings(own: Mapping[str, str], *, has_client: bool) -> Surroundings:
    """Return what a command with the environment `own` is to check. `has_client` says whether a client is set up here.

    While `make up` is running, this is the embedded stack, whose record is in its data folder.
    """
    if any(own.get(name) or own.get(f"{name}_FILE") for name in _OF_EVERY_PROCESS):
        return Surroundings(own)
    stack = read_local_stack(Path(own.get("DATA") or DEFAULT_FOLDER))
    if stack is not None:
        found = [ok("stack", "the embedded stack of this folder is running, and is checked with its settings")]
        unknown = ", ".join(name for name in stack.given if not own.get(name))
        if unknown:
            found.append(skip("stack settings", f"given to `make up`, but not set here, so not checked: {unknown}"))
        return Surroundings({**stack.made, **own}, tuple(found))
    none = skip("stack", "no embedded stack runs on this folder; set DATA to its data folder to check it")
    of_service = {name for name, value in own.items() if name.startswith(PREFIX) and value} - CLIENT_NAMES.keys()
    if has_client and not of_service:
        return Surroundings(None, (none, skip("settings", "none is set here, so only the client is checked")))
    return Surroundings(own, (none,))
