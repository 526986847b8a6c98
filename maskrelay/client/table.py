"""Format rows as aligned columns."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format rows below a header. A column is as wide as its widest cell, and numbers are right-aligned."""
    cells = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [all(_is_number(row[column]) or not row[column] for row in cells[1:]) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def printable(cell: object) -> str:
    """Return the cell as one line of printable text.

    A name can contain control characters, which a terminal would obey.
    """
    text = "" if cell is None else str(cell)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()
