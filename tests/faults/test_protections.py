"""The table of protections fits the code and the scenarios as they are."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.protection_switches import ROOT
from tests.faults.protections import PROTECTIONS, Protection


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda one: one.off)
def test_what_switches_a_protection_off_is_in_the_code_once(protection: Protection) -> None:
    assert {change: change.found(ROOT) for change in protection.changes} == dict.fromkeys(protection.changes, 1)


def test_no_scenario_is_named_twice() -> None:
    named = [scenario for protection in PROTECTIONS for scenario in protection.scenarios]
    assert len(named) == len(set(named))


def test_every_scenario_has_a_protection_and_every_protection_a_scenario() -> None:
    named = {scenario for protection in PROTECTIONS for scenario in protection.scenarios}
    scenarios = set(_scenarios())
    known = scenarios | {node.partition("[")[0] for node in scenarios}
    assert named <= known
    assert {node for node in scenarios if not {node, node.partition("[")[0]} & named} == set()


def _scenarios() -> Iterator[str]:
    """Every test of this folder that tells of a fault."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "--collect-only", "-q", "-m", "long or not long"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        file, found, _ = line.partition("::")
        name = line.partition("::")[2].partition("[")[0]
        if found and f"def {name}(" in (text := (ROOT / file).read_text()):
            signature = text.split(f"def {name}(")[1].partition(":\n")[0]
            if "fault: Fault" in signature:
                yield line.removeprefix("tests/faults/")
