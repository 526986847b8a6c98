"""The merging of small files of a Delta table: no row changes, and an interrupted merge leaves nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable as DeltaReader

from maskrelay.delta.compaction import FEWEST, compact
from maskrelay.delta.delta_table import DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.storage.file_store import FileStorage
from tests.integration.delta.table_contents import numbers, once, referenced, stored, url
from tests.support.drivers.table_writers import (
    COLUMNS,
    PREFIX,
    part_of,
    rows_of,
    table_in,
)


def test_small_files_are_merged_without_a_change_of_the_rows(tmp_path: Path):
    table = table_in(tmp_path)
    for number in range(1, FEWEST):
        table.add(TablePart("a", number, parquet_files(COLUMNS, rows_of("a", range(number - 1, number)))))
    table.add(part_of("b", 1, 2, owned=True))
    assert compact(table) == 0
    table.add(TablePart("a", FEWEST, parquet_files(COLUMNS, rows_of("a", range(FEWEST - 1, FEWEST)))))
    assert compact(table) == FEWEST
    reader = DeltaReader(url(tmp_path))
    assert len(reader.file_uris()) == 3
    assert numbers(tmp_path) == once(("a", FEWEST), ("b", 2))
    last = (tmp_path / PREFIX / "_delta_log" / f"{reader.version():020d}.json").read_text().splitlines()
    changes = [
        action[kind]["dataChange"] for action in map(json.loads, last) for kind in ("add", "remove") if kind in action
    ]
    assert changes == [False] * (FEWEST + 1)
    assert compact(table) == 0


def test_a_merge_is_given_up_when_another_process_has_merged_one_of_the_files(tmp_path: Path):
    first, second = table_in(tmp_path), table_in(tmp_path)
    for number in range(1, FEWEST + 1):
        first.add(TablePart("a", number, parquet_files(COLUMNS, rows_of("a", range(number - 1, number)))))

    class Overtaken(FileStorage):
        def put(self, key: str, body: bytes, content_type: str = "") -> None:
            super().put(key, body, content_type)
            if "/merged-" in key:
                assert compact(second) == FEWEST

    assert compact(DeltaTable(Overtaken(tmp_path), PREFIX, "masks", COLUMNS)) == 0
    assert numbers(tmp_path) == once(("a", FEWEST))
    assert len([name for name in stored(tmp_path) if name.startswith("merged-")]) == 1


def test_a_file_that_an_interrupted_merge_has_left_is_removed_by_the_next(tmp_path: Path):
    for number in range(1, FEWEST + 1):
        table_in(tmp_path).add(TablePart("a", number, parquet_files(COLUMNS, rows_of("a", range(number - 1, number)))))

    class Interrupted(FileStorage):
        def create(self, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(DeltaTable(Interrupted(tmp_path), PREFIX, "masks", COLUMNS))
    [left] = stored(tmp_path) - referenced(tmp_path)
    assert compact(table_in(tmp_path)) == FEWEST
    assert left not in stored(tmp_path)
    assert numbers(tmp_path) == once(("a", FEWEST))
