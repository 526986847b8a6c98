"""What a Delta table contains, as an independent reader finds it, and what its folder contains."""

from collections import Counter
from pathlib import Path

from deltalake import DeltaTable as DeltaReader

from tests.support.drivers.table_writers import PREFIX


def url(folder: Path) -> str:
    return str(folder / PREFIX)


def numbers(folder: Path) -> Counter[tuple[str, int]]:
    """Return how often the table has each row, as deltalake reads it."""
    found = DeltaReader(url(folder)).to_pyarrow_table(columns=["run", "number"]).to_pylist()
    return Counter((row["run"], row["number"]) for row in found)


def once(*runs: tuple[str, int]) -> Counter[tuple[str, int]]:
    return Counter((run, number) for run, rows in runs for number in range(rows))


def stored(folder: Path) -> set[str]:
    """Return the names of the table's files in the store."""
    return {path.name for path in (folder / PREFIX).glob("*.parquet")}


def referenced(folder: Path) -> set[str]:
    """Return the names of the files that the table has."""
    return {Path(uri).name for uri in DeltaReader(url(folder)).file_uris()}
