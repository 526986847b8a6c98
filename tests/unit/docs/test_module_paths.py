"""Every module, script, page and folder that a page or a Lua script names by its path exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("api", "bench", "docs", "maskrelay", "simulator", "tests", "tools", "worker")
CODE = [
    path.relative_to(ROOT)
    for folder in FOLDERS
    for kind in ("py", "lua")
    for path in (ROOT / folder).rglob(f"*.{kind}")
]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "maskrelay").rglob("*.lua")])
#: A path of at least two parts; an example's file has one.
PATH = re.compile(r"(?<![\w./-])((?:\w+/)+\w+\.(?:py|lua))\b")


def exists(named: str) -> bool:
    parts = Path(named).parts
    return any(path.parts[-len(parts) :] == parts for path in CODE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_of_a_module_leads_to_a_module(page: Path) -> None:
    assert [named for named in PATH.findall(page.read_text()) if not exists(named)] == []


#: A path from the root of the repository, in backticks.
FROM_ROOT = re.compile(
    r"`((?:\.ci|api|bench|deploy|docs|helm|maskrelay|requirements|simulator|tests|tools|worker)/[\w./*-]*)`"
)
PROSE = [page for page in PAGES if page.suffix == ".md"]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_from_the_root_exists(page: Path) -> None:
    named = FROM_ROOT.findall(page.read_text())
    assert [path for path in named if not any(ROOT.glob(path.rstrip("/")))] == []


def test_paths_from_the_root_are_found_in_the_pages_for_contributors() -> None:
    found = {page.name: len(FROM_ROOT.findall(page.read_text())) for page in PROSE}
    assert min(found["CONTRIBUTING.md"], found["architecture.md"]) > 20
