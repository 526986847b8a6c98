"""The source tree stays one that a stranger can search: few entries at the top, and no module name twice."""

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "worker", "maskrelay")
#: Names that Python itself gives a meaning.
SPECIAL = {"__init__", "__main__"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_no_module_name_is_used_twice() -> None:
    names = Counter(path.stem for path in modules() if path.stem not in SPECIAL)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_has_the_name_of_a_package() -> None:
    packages = Counter(path.parent.name for path in modules() if path.stem == "__init__")
    assert [name for name, count in packages.items() if count > 1] == []
    assert packages.keys() & {path.stem for path in modules()} == set()


@pytest.mark.parametrize(("package", "most"), [("api", 10), ("worker", 13)])
def test_a_package_has_few_entries_at_its_top(package: str, most: int) -> None:
    entries = {path.relative_to(ROOT / package).parts[0] for path in modules() if path.is_relative_to(ROOT / package)}
    assert len(entries) <= most


def test_every_package_says_what_it_is_for() -> None:
    texts = {path.parent: path.read_text() for path in modules() if path.stem == "__init__"}
    assert [str(folder.relative_to(ROOT)) for folder, text in texts.items() if not text.startswith('"""')] == []
    assert {path.parent for path in modules()} == texts.keys()
