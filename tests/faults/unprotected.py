"""`python -m tests.faults.unprotected`: in a copy of the tree each scenario, its protection switched off, must fail."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.protection_switches import ROOT
from tests.faults.protections import PROTECTIONS, Protection
from tests.faults.reliability_page import add_row

FOLDER = "tests/faults/"
HEAD = ("scenario", "switched off", "then")
#: Long enough for what recovers, on a busy machine, and no longer: most of these wait in vain.
PATIENCE_S = "45"
_ID = re.compile(r"\b(?:[a-z2-7]{26}|[0-9a-f]{16})\b")
#: What a scenario stands on did not start.
_NOT_BEGUN = re.compile(r"^ERROR ", re.MULTILINE)
_SAID = re.compile(r"^E\s+(?:AssertionError: |assert |[\w.]+Error: |maskrelay\.errors\.\S+: )?(.*)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.unprotected", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--first", action="store_true", help="of a table the first row alone")
    parser.add_argument("--at-once", type=int, default=3, help="copies that run beside each other: most of them wait")
    parser.add_argument("--page", type=Path, help="add what was seen to this page")
    given = parser.parse_args()
    runs = list(_runs(given.only, first=given.first))
    with ThreadPoolExecutor(given.at_once) as pool:
        said = pool.map(lambda run: _unprotected(*run), runs)
        survived = [_note(*run, then, given.page) for run, then in zip(runs, said, strict=True)].count(True)
    print(f"{len(runs)} scenarios without their protection: {survived} survived")
    return 1 if survived else 0


def _runs(only: str, *, first: bool) -> Iterator[tuple[Protection, str]]:
    """Each protection with each test that proves it."""
    nodes = list(_nodes())
    for protection in PROTECTIONS:
        for scenario in protection.scenarios:
            rows = [node for node in nodes if node == scenario or node.startswith(f"{scenario}[")]
            yield from ((protection, node) for node in (rows[:1] if first else rows) if only in node)


def _nodes() -> Iterator[str]:
    """Every test of this folder, rows of tables each by its own name."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "--collect-only", "-q", "-m", "long or not long"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = listed.stdout.splitlines()
    yield from (line.removeprefix(FOLDER) for line in lines if line.startswith(FOLDER))


def _unprotected(protection: Protection, node: str) -> str | None:
    """What the scenario's failure said, in a copy of the tree without the protection; None if it was survived."""
    with tempfile.TemporaryDirectory(prefix="unprotected-") as folder:
        tree = Path(folder) / "tree"
        _copy(tree)
        for change in protection.changes:
            change.make(tree)
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-m", "long or not long", "--tb=short", FOLDER + node],
            cwd=tree,
            env={**os.environ, "FAULTS_PATIENCE_S": PATIENCE_S, "FAULTS_PAGE": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or _NOT_BEGUN.search(ran.stdout):
        raise SystemExit(f"{node} was not run:\n{ran.stdout}{ran.stderr}")
    if ran.returncode == pytest.ExitCode.OK:
        return None
    said = _SAID.search(ran.stdout)
    return _ID.sub("…", said[1])[:90] if said else "failed"


def _note(protection: Protection, node: str, then: str | None, page: Path | None) -> bool:
    """Print it, and write it to the page if there is one; whether the scenario was survived all the same."""
    name = node.partition("::test_")[2].replace("_", " ").replace("[", ": ").removesuffix("]")
    print(f"{name}\n    without: {protection.off}\n    {then or 'survived'}", flush=True)
    if page is not None:
        add_row(page, "protections", HEAD, (name, protection.off, then or "survived"))
    return then is None


def _copy(tree: Path) -> None:
    """The files of the working tree that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


if __name__ == "__main__":
    sys.exit(main())
