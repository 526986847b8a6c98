"""Medians of runs, and Markdown tables of them for the documentation."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return `median (least to most)`."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def print_head(what: str, runs: int) -> None:
    """Print the first lines of a report: the benchmark, the date, and the load of the machine."""
    load = os.getloadavg()[0]
    machine = f"{os.cpu_count()} cores, load {load:.1f} at the start, Python {platform.python_version()}"
    print(f"\n### {what}\n\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {runs} run(s): median (least to most)\n")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)
