"""Our Delta tables: what independent readers find in them, and what writers survive that race or are killed."""

import io
import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
from deltalake import DeltaTable as DeltaReader

from maskrelay.contract.tables.table_schema import Column
from maskrelay.delta.delta_table import CHECKPOINT_EVERY, DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.storage.file_store import FileStorage
from tests.integration.delta.table_contents import numbers, once, referenced, stored, url
from tests.support.drivers.table_writers import (
    COLUMNS,
    PREFIX,
    add_and_stop,
    add_parts,
    part_of,
    processes,
    rows_of,
    table_in,
)


def test_deltalake_polars_pandas_and_duckdb_read_the_same_rows(tmp_path: Path):
    table = table_in(tmp_path)
    assert table.add(part_of("a", 1, 6))
    assert table.add(part_of("b", 1, 4))
    reader = DeltaReader(url(tmp_path))
    expected = rows_of("a", range(6)) + rows_of("b", range(4))
    frame = pl.read_delta(url(tmp_path)).sort("run", "number")
    assert frame.to_dicts() == expected
    pandas = reader.to_pandas().sort_values(["run", "number"])
    assert isinstance(pandas, pd.DataFrame)
    assert pandas["area"].tolist() == [row["area"] for row in expected]
    files = [str(Path(url(tmp_path)) / path) for path in reader.file_uris()]
    rows = duckdb.sql(f"select run, number, area from read_parquet({files}) order by run, number").fetchall()
    assert rows == [(row["run"], row["number"], row["area"]) for row in expected]
    assert reader.protocol().min_reader_version == 1
    assert reader.protocol().min_writer_version == 2
    assert reader.metadata().name == "masks"


def test_readers_skip_files_by_the_statistics(tmp_path: Path):
    table = table_in(tmp_path)
    for run in "abc":
        table.add(part_of(run, 1, 4))
    actions = DeltaReader(url(tmp_path)).get_add_actions(flatten=True)
    found = pl.DataFrame(actions).sort("min.run", "min.number")
    assert found["num_records"].to_list() == [2] * 6
    assert found["min.run"].to_list() == found["max.run"].to_list() == list("aabbcc")
    assert found["max.number"].to_list() == [1, 3] * 3
    assert found["null_count.area"].to_list() == [0] * 6
    assert pl.scan_delta(url(tmp_path)).filter(pl.col("run") == "b").collect().height == 4


def test_a_table_that_was_deleted_begins_anew(tmp_path: Path):
    table = table_in(tmp_path)
    for number in (1, 2):
        table.add(part_of("a", number, 2))
    shutil.rmtree(tmp_path / PREFIX)
    assert table.add(part_of("b", 1, 2))
    assert table_in(tmp_path).add(part_of("c", 1, 2))
    assert numbers(tmp_path) == once(("b", 2), ("c", 2))


def test_a_repeated_part_is_added_once(tmp_path: Path):
    table = table_in(tmp_path)
    assert table.add(part_of("a", 1, 4))
    assert not table.add(part_of("a", 1, 4))
    assert table_in(tmp_path).add(part_of("a", 2, 4))
    assert not table.add(part_of("a", 1, 4))
    assert numbers(tmp_path) == once(("a", 8))
    assert DeltaReader(url(tmp_path)).version() == 1
    assert len(list((tmp_path / PREFIX).glob("*.parquet"))) == 4


def test_six_writers_at_once_add_every_row_once(tmp_path: Path):
    runs = ["a", "a", "b", "b", "c", "d"]  # two writers of the same run repeat each other's parts
    writers = [processes().Process(target=add_parts, args=(tmp_path, run, 6, 4)) for run in runs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert numbers(tmp_path) == once(("a", 24), ("b", 24), ("c", 24), ("d", 24))
    assert DeltaReader(url(tmp_path)).version() == 4 * 6 - 1
    assert stored(tmp_path) == referenced(tmp_path)


def test_a_writer_killed_at_any_call_leaves_a_table_that_the_repetition_completes(tmp_path: Path):
    add_parts(tmp_path / "first", "a", CHECKPOINT_EVERY, 4)  # the next part is followed by a checkpoint
    parts, steps, said = CHECKPOINT_EVERY + 1, 0, "stopped"
    while said == "stopped":
        steps += 1
        folder = tmp_path / f"{steps}"
        shutil.copytree(tmp_path / "first", folder)
        here, there = processes().Pipe()
        stop = {"folder": folder, "number": parts, "stop": steps, "stopped": there}
        writer = processes().Process(target=add_and_stop, kwargs=stop)
        writer.start()
        said = here.recv()
        writer.kill()
        writer.join()
        assert numbers(folder) in (once(("a", 4 * (parts - 1))), once(("a", 4 * parts)))
        add_parts(folder, "a", parts, 4)
        assert numbers(folder) == once(("a", 4 * parts))
        assert stored(folder) == referenced(folder)
    assert steps > 8  # the list, two files, the list again, the commit, a checkpoint of two objects, the list of files


def test_a_writer_that_is_overtaken_leaves_nothing_and_its_files_stay_until_it_cannot_commit(tmp_path: Path):
    class Overtaken(FileStorage):
        def create(self, key: str, body: bytes, content_type: str = "") -> None:
            before = {name for name in stored(tmp_path) if name.startswith("a-1-")}
            assert table_in(tmp_path).add(part_of("a", 1, 2))  # the same part, by another process
            assert table_in(tmp_path).add(part_of("b", 1, 2))
            assert not before & stored(tmp_path)
            super().create(key, body, content_type)

    table_in(tmp_path).add(part_of("c", 1, 2))
    late = table_in(tmp_path)
    late.store("a-2-0a0b0c0d-0.parquet", next(iter(part_of("a", 2, 2).files)), {})  # about to be committed
    assert not DeltaTable(Overtaken(tmp_path), PREFIX, "masks", COLUMNS).add(part_of("a", 1, 4))
    assert numbers(tmp_path) == once(("a", 2), ("b", 2), ("c", 2))
    assert stored(tmp_path) - referenced(tmp_path) == {"a-2-0a0b0c0d-0.parquet"}
    assert table_in(tmp_path).add(part_of("a", 2, 2))
    assert stored(tmp_path) == referenced(tmp_path)


def test_files_that_were_replaced_stay_for_readers_of_older_versions(tmp_path: Path):
    table = table_in(tmp_path)
    table.add(part_of("a", 1, 4, owned=True))
    before = referenced(tmp_path)
    table.add(TablePart("a", 2, parquet_files(COLUMNS, rows_of("a", range(5))), replaces=True))
    table.add(part_of("a", 2, 4))
    assert before <= stored(tmp_path)
    assert DeltaReader(url(tmp_path), version=0).to_pyarrow_table().num_rows == 4


def test_a_part_can_replace_the_rows_that_its_run_owns(tmp_path: Path):
    table = table_in(tmp_path)
    table.add(part_of("a", 1, 4, owned=True))
    table.add(part_of("b", 1, 4, owned=True))
    table.add(part_of("a", 2, 4, owned=True))
    final = TablePart("a", 9, parquet_files(COLUMNS, rows_of("a", range(5))), replaces=True)
    assert table.add(final)
    assert numbers(tmp_path) == once(("a", 5), ("b", 4))
    assert not table.add(part_of("a", 3, 4, owned=True))
    assert numbers(tmp_path) == once(("a", 5), ("b", 4))


def test_a_new_column_is_added_at_the_end_and_null_in_earlier_rows(tmp_path: Path):
    table_in(tmp_path).add(part_of("a", 1, 2))
    newer = DeltaTable(FileStorage(tmp_path), PREFIX, "masks", (*COLUMNS, Column("later", "string", "New.")))
    rows = [{**row, "later": "x"} for row in rows_of("b", range(2))]
    assert newer.add(TablePart("b", 1, parquet_files(newer.columns, rows)))
    assert table_in(tmp_path).add(part_of("c", 1, 2))  # an older version of the software still adds its rows
    found = pl.read_delta(url(tmp_path)).sort("run", "number")
    assert found.columns == [*(column.name for column in COLUMNS), "later"]
    assert found["later"].to_list() == [None, None, "x", "x", None, None]


def test_a_file_ends_when_it_has_enough_bytes_and_no_row_is_lost():
    rows = rows_of("a", range(4500))
    files = list(parquet_files(COLUMNS, rows, bytes_per_file=1))
    assert [file.rows for file in files] == [2000, 2000, 500]
    found = [row for file in files for row in pq.read_table(io.BytesIO(file.body)).to_pylist()]
    assert found == rows
    assert [json.loads(file.stats)["maxValues"]["number"] for file in files] == [1999, 3999, 4499]


def test_the_parquet_files_have_flat_columns_and_a_time_in_utc(tmp_path: Path):
    table_in(tmp_path).add(part_of("a", 1, 2))
    [path, *_] = (tmp_path / PREFIX).glob("*.parquet")
    schema = pq.read_schema(io.BytesIO(path.read_bytes()))
    assert [str(entry.type) for entry in schema] == ["string", "int64", "double", "bool", "timestamp[us, tz=UTC]"]
