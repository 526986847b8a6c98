"""The merging of small files of a Delta table. The rows of the table stay the same.

Merging is an application of the table, whose parts are numbered like those of others. So two processes never merge the
same files, and a file that an interrupted merge has left is found by its name.
"""

import secrets
from collections.abc import Iterator

from maskrelay.delta.delta_table import OWNER, DeltaTable, part_path, removal, txn
from maskrelay.delta.parquet_rows import rewritten
from maskrelay.delta.table_snapshot import Action, TableSnapshot
from maskrelay.errors import ObjectMissing

#: The name of the application that merges files. No job has this name.
MERGED = "merged"
#: Small files are merged when there are this many of them.
FEWEST = 32
#: The most bytes of the files that are merged at once. Together, they are in memory.
_MOST_BYTES = 64 << 20


def compact(table: DeltaTable) -> int:
    """Merge small files of the table if there are many. Return how many files were merged.

    The commit changes no data, so a reader that follows the table sees no new rows. If another process has merged one
    of the files meanwhile, nothing is changed. Raises StorageUnavailable and TableError.
    """
    snapshot = table.refresh()
    chosen = list(_small_files(snapshot))
    if len(chosen) < FEWEST or _has_other_columns(table, snapshot):
        return 0
    try:
        bodies = [table.storage.get(table.prefix + file["path"]) for file in chosen]
    except ObjectMissing:  # another process has merged this file long ago, and it was deleted
        return 0
    number = snapshot.part_of(MERGED) + 1
    path = part_path(MERGED, number, secrets.token_hex(4), 0)
    merged = table.store(path, rewritten(table.columns, bodies), {}, data_change=False)

    def actions(current: TableSnapshot) -> list[Action] | None:
        if current.part_of(MERGED) >= number or any(file["path"] not in current.files for file in chosen):
            return None
        return [txn(MERGED, number), *(removal(file, data_change=False) for file in chosen), {"add": merged}]

    is_merged = table.commit(actions, "OPTIMIZE")
    table.remove_leftovers(MERGED)
    return len(chosen) if is_merged else 0


def _small_files(snapshot: TableSnapshot) -> Iterator[Action]:
    """Yield small files that no application can replace, until one merged file would be full."""
    bytes_left = _MOST_BYTES
    small = (file for file in snapshot.files.values() if OWNER not in file.get("tags", {}))
    for file in sorted(small, key=lambda file: file["modificationTime"]):
        if file["size"] > _MOST_BYTES // FEWEST:
            continue
        bytes_left -= file["size"]
        if bytes_left < 0:
            return
        yield file


def _has_other_columns(table: DeltaTable, snapshot: TableSnapshot) -> bool:
    """Return whether a newer version of this software has added columns, which merging would lose."""
    return not snapshot.schema(table.name).keys() <= {column.name for column in table.columns}
