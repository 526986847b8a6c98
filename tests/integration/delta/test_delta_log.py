"""The log of a Delta table: its checkpoints, its old versions, and logs that cannot be continued."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable as DeltaReader
from deltalake import write_deltalake

from maskrelay.contract.tables.table_schema import Column
from maskrelay.delta.delta_table import CHECKPOINT_EVERY, DeltaTable, TablePart
from maskrelay.delta.parquet_rows import parquet_files
from maskrelay.errors import (
    TableForeignCommit,
    TableLogDamaged,
    TableProtocolUnsupported,
    TableSchemaDifferent,
)
from maskrelay.storage.file_store import FileStorage
from tests.integration.delta.table_contents import numbers, once, url
from tests.support.drivers.table_writers import (
    COLUMNS,
    PREFIX,
    part_of,
    rows_of,
    table_in,
)


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
