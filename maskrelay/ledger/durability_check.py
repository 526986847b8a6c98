"""The check whether Redis keeps its data. `INFO` shows the append-only file and the eviction policy."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from maskrelay.ledger.scripts import Scripts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DurabilityFinding:
    """One finding about whether Redis keeps its data."""

    #: What was checked.
    of: str
    state: Literal["ok", "warn", "wrong"]
    said: str
    #: What to do if the state is not `ok`.
    hint: str = ""


def persistence(facts: Mapping[str, Any]) -> DurabilityFinding:
    """Judge the append-only file from `INFO persistence`."""
    of = "redis persistence"
    if not facts.get("aof_enabled"):
        hint = (
            "set appendonly yes and appendfsync everysec; otherwise frames in progress are scored again after a restart"
        )
        return DurabilityFinding(of, "warn", "the append-only file is off", hint)
    if facts.get("aof_last_write_status", "ok") != "ok":
        hint = "check the disk of Redis: while it cannot write this file, it accepts no writes"
        return DurabilityFinding(of, "wrong", "the last write of the append-only file failed", hint)
    return DurabilityFinding(of, "ok", "the append-only file is on")


def eviction(facts: Mapping[str, Any]) -> DurabilityFinding:
    """Judge the eviction policy from `INFO memory`."""
    of, policy = "redis eviction", str(facts.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        return DurabilityFinding(of, "ok", policy)
    hint = "set maxmemory-policy noeviction: a full Redis must refuse writes instead of deleting jobs"
    return DurabilityFinding(of, "wrong", f"the policy is {policy}", hint)


def warn_of_forgetting(scripts: Scripts) -> None:
    """Log a warning for each finding that is not `ok`. Raises LedgerUnavailable.

    The state is read with INFO instead of CONFIG, because many managed Redis services refuse CONFIG. The ledger's
    scripts need INFO anyway.
    """
    facts = {**scripts.ask("INFO", "persistence"), **scripts.ask("INFO", "memory")}
    for kept in (persistence(facts), eviction(facts)):
        if kept.state != "ok":
            log.warning("%s: %s → %s", kept.of, kept.said, kept.hint)
