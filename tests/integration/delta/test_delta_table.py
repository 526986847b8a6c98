"""Our Delta tables: what independent readers find in them, and what writers survive that race or are killed."""

import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable as DeltaReader
from deltalake import write_deltalake

from maskrelay.contract.tables.table_schema import Column
from maskrelay.delta.compaction import FEWEST, compact
from maskrelay.delta.delta_table import CHECKPOINT_EVERY, DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.errors import (
    TableForeignCommit,
    TableLogDamaged,
    TableProtocolUnsupported,
    TableSchemaDifferent,
)
from maskrelay.storage.file_store import FileStorage
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


def test_a_checkpoint_replaces_the_commits_before_it(tmp_path: Path):
    table = table_in(tmp_path)
    for number in range(1, CHECKPOINT_EVERY + 3):
        table.add(part_of("a", number, 2))
    table.add(TablePart("b", 1, parquet_files(COLUMNS, rows_of("b", range(3))), owned=True, tags={"what": "this"}))
    log = tmp_path / PREFIX / "_delta_log"
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == CHECKPOINT_EVERY
    for version in range(CHECKPOINT_EVERY):
        (log / f"{version:020d}.json").unlink()
    snapshot = table_in(tmp_path).refresh()
    assert snapshot.part_of("a") == CHECKPOINT_EVERY + 2
    assert numbers(tmp_path) == once(("a", 2 * (CHECKPOINT_EVERY + 2)), ("b", 3))
    assert pl.read_delta(url(tmp_path)).height == 2 * (CHECKPOINT_EVERY + 2) + 3
    (log / "_last_checkpoint").write_text("{")
    with pytest.raises(TableLogDamaged):
        table_in(tmp_path).refresh()


def test_old_versions_of_the_log_are_removed_before_the_newest_old_checkpoint(tmp_path: Path):
    table, log = table_in(tmp_path), tmp_path / PREFIX / "_delta_log"

    def add_until(version: int) -> None:
        while table.refresh().version < version:
            table.add(part_of("a", table.refresh().part_of("a") + 1, 2))

    add_until(3 * CHECKPOINT_EVERY - 1)
    for commit in sorted(log.glob("*.json"))[: 2 * CHECKPOINT_EVERY + 5]:
        commit.write_text(re.sub(r'"timestamp":\d+', '"timestamp":1', commit.read_text(), count=1))
    before = {path.name for path in log.iterdir()}
    add_until(3 * CHECKPOINT_EVERY)
    gone = before - {path.name for path in log.iterdir()}
    assert gone == {
        *(f"{version:020d}.checkpoint.parquet" for version in (0, CHECKPOINT_EVERY)),
        *(f"{version:020d}.json" for version in range(2 * CHECKPOINT_EVERY)),
    }
    add_until(4 * CHECKPOINT_EVERY)  # nothing else is old
    assert (log / f"{2 * CHECKPOINT_EVERY:020d}.json").exists()
    assert numbers(tmp_path) == once(("a", 2 * (4 * CHECKPOINT_EVERY + 1)))
    assert DeltaReader(url(tmp_path), version=2 * CHECKPOINT_EVERY + 1).to_pyarrow_table().num_rows > 0
    assert pl.read_delta(url(tmp_path)).height == table_in(tmp_path).refresh().part_of("a") * 2


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


def test_a_new_column_is_added_at_the_end_and_null_in_earlier_rows(tmp_path: Path):
    table_in(tmp_path).add(part_of("a", 1, 2))
    newer = DeltaTable(FileStorage(tmp_path), PREFIX, "masks", (*COLUMNS, Column("later", "string", "New.")))
    rows = [{**row, "later": "x"} for row in rows_of("b", range(2))]
    assert newer.add(TablePart("b", 1, parquet_files(newer.columns, rows)))
    assert table_in(tmp_path).add(part_of("c", 1, 2))  # an older version of the software still adds its rows
    found = pl.read_delta(url(tmp_path)).sort("run", "number")
    assert found.columns == [*(column.name for column in COLUMNS), "later"]
    assert found["later"].to_list() == [None, None, "x", "x", None, None]


def test_the_commit_of_another_program_is_a_coded_error(tmp_path: Path):
    table = table_in(tmp_path)
    table.add(part_of("a", 1, 2))
    write_deltalake(url(tmp_path), DeltaReader(url(tmp_path)).to_pyarrow_table(), mode="append")
    for writer in (table, table_in(tmp_path)):
        with pytest.raises(TableForeignCommit) as refused:
            writer.add(part_of("a", 2, 2))
        assert (refused.value.table, refused.value.version) == ("masks", 1)
    assert DeltaReader(url(tmp_path)).version() == 1


def test_a_checkpoint_does_not_hide_the_commit_of_another_program(tmp_path: Path):
    table_in(tmp_path).add(part_of("a", 1, 2, owned=True))
    DeltaReader(url(tmp_path)).create_checkpoint()  # without a commit, it does no harm
    table_in(tmp_path).add(part_of("a", 2, 2, owned=True))
    # The rows of `a` are now in a file that `a` cannot replace.
    write_deltalake(url(tmp_path), DeltaReader(url(tmp_path)).to_pyarrow_table(), mode="overwrite")
    DeltaReader(url(tmp_path)).create_checkpoint()
    with pytest.raises(TableForeignCommit) as refused:
        table_in(tmp_path).add(TablePart("a", 3, parquet_files(COLUMNS, rows_of("a", range(5))), replaces=True))
    assert (refused.value.table, refused.value.version) == ("masks", 2)
    assert numbers(tmp_path) == once(("a", 4))


def test_a_table_with_a_newer_protocol_is_a_coded_error(tmp_path: Path):
    write_deltalake(
        url(tmp_path), pl.DataFrame({"run": ["a"]}).to_arrow(), configuration={"delta.enableDeletionVectors": "true"}
    )
    with pytest.raises(TableProtocolUnsupported):
        table_in(tmp_path).add(part_of("a", 1, 2))
    assert not list((tmp_path / PREFIX).glob("a-*.parquet"))


@pytest.mark.parametrize(
    "columns", [(Column("run", "long", "Other."),), (Column("run", "double", "Other."), *COLUMNS[1:])]
)
def test_a_column_of_another_type_is_a_coded_error(tmp_path: Path, columns: tuple[Column, ...]):
    table_in(tmp_path).add(part_of("a", 1, 2))
    other = DeltaTable(FileStorage(tmp_path), PREFIX, "masks", columns)
    with pytest.raises(TableSchemaDifferent) as refused:
        other.add(TablePart("b", 1, ()))
    assert "run" in refused.value.detail
    assert numbers(tmp_path) == once(("a", 2))


def test_a_gap_in_the_log_is_a_coded_error(tmp_path: Path):
    table = table_in(tmp_path)
    for number in range(1, 4):
        table.add(part_of("a", number, 2))
    (tmp_path / PREFIX / "_delta_log" / f"{1:020d}.json").unlink()
    with pytest.raises(TableLogDamaged):
        table_in(tmp_path).add(part_of("a", 4, 2))


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
