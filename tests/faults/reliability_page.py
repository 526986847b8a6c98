"""Writes tables into docs/explanation/reliability.md, each between two markers of its name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "explanation" / "reliability.md"


@dataclass(frozen=True)
class Row:
    """A scenario that was survived: nothing lost and nothing doubled, or there would be no row."""

    scenario: str
    broken: str
    scored_again: int
    seconds: float


def write_rows(page: Path, rows: Sequence[Row]) -> None:
    head = ("scenario", "what was broken", "lost", "doubled", "scored again", "seconds to recover")
    write_table(page, "faults", head, [(r.scenario, r.broken, 0, 0, r.scored_again, f"{r.seconds:.0f}") for r in rows])


def add_row(page: Path, name: str, head: Sequence[str], row: Sequence[object]) -> None:
    """Add a row to a table, or replace the one that begins alike."""
    known = _between(name).search(page.read_text())
    cells = [line.strip("| ").split(" | ") for line in known[2].splitlines()[2:]] if known else []
    kept = [line for line in cells if line[0] != str(row[0])]
    write_table(page, name, head, [*kept, row])


def _between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- /{name} -->)", re.DOTALL)


def write_table(page: Path, name: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`. Raises ValueError where they are missing."""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
    text = page.read_text()
    changed, count = _between(name).subn(lambda found: f"{found[1]}{table}\n{found[3]}", text)
    if count != 1:
        raise ValueError(f"{page.name} has no place for {name}")
    page.write_text(changed)
