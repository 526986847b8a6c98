"""`python -m tests.faults.unprotected`: in a copy of the tree each scenario, its protection switched off, must fail."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.page import add_row
from tests.faults.protections import PROTECTIONS, Protection
from tests.faults.switches import ROOT

FOLDER = "tests/faults/"
HEAD = ("scenario", "switched off", "then")
#: Long enough for what recovers, on a busy machine, and no longer: most of these wait in vain.
PATIENCE_S = "45"
_SAID = re.compile(r"^E\s+(?:AssertionError: |assert |[\w.]+Error: |maskrelay\.errors\.\S+: )?(.*)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.unprotected", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--first", action="store_true", help="of a table the first row alone")
    parser.add_argument("--page", type=Path, help="add what was seen to this page")
    given = parser.parse_args()
    nodes, survived = list(_nodes()), 0
    for protection in PROTECTIONS:
        for scenario in protection.scenarios:
            rows = [node for node in nodes if node == scenario or node.startswith(f"{scenario}[")]
            rows = rows[:1] if given.first else rows
            survived += sum(_must_fail(protection, node, given.page) for node in rows if given.only in node)
    return 1 if survived else 0


def _nodes() -> Iterator[str]:
    """Every test of this folder, rows of tables each by its own name."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "--collect-only", "-q", "-m", "long or not long"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = listed.stdout.splitlines()
    yield from (line.removeprefix(FOLDER) for line in lines if line.startswith(FOLDER))


def _must_fail(protection: Protection, node: str, page: Path | None) -> bool:
    """Whether the scenario was survived all the same."""
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
    name = node.partition("::test_")[2].replace("_", " ").replace("[", ": ").removesuffix("]")
    said = _SAID.search(ran.stdout)
    then = "survived" if ran.returncode == 0 else (said[1][:90] if said else "failed")
    print(f"{name}\n    without: {protection.off}\n    {then}", flush=True)
    if page is not None:
        add_row(page, "protections", HEAD, (name, protection.off, then))
    return ran.returncode == 0


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
