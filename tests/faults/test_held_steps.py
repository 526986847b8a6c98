"""The steps at which fault tests hold a process name scripts of the ledger that exist."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SCRIPTS = {path.stem for path in (FOLDER.parents[1] / "maskrelay" / "ledger" / "scripts").rglob("*.lua")}
_HELD = re.compile(r'Step\([^)]*"ledger", "([a-z_]+)')
FILES = [path for path in sorted(FOLDER.glob("test_*.py")) if _HELD.search(path.read_text())]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_script_at_which_a_test_holds_a_process_exists(file: Path) -> None:
    assert set(_HELD.findall(file.read_text())) - SCRIPTS == set()
