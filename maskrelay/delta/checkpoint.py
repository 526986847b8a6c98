"""Checkpoints of a Delta log: the whole state of a table as one Parquet file, so that a reader need not read every
commit.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from maskrelay.delta.table_snapshot import Action, TableSnapshot
from maskrelay.delta.table_store import TableStore
from maskrelay.errors import ObjectMissing, TableLogDamaged

_TEXTS = pa.map_(pa.string(), pa.string())
#: The actions of the protocol as columns. Each row of a checkpoint has a value in one of them.
_SCHEMA = pa.schema(
    {
        "protocol": pa.struct({"minReaderVersion": pa.int32(), "minWriterVersion": pa.int32()}),
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "name": pa.string(),
                "description": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _TEXTS}),
                "schemaString": pa.string(),
                "partitionColumns": pa.list_(pa.string()),
                "configuration": _TEXTS,
                "createdTime": pa.int64(),
            }
        ),
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(),
                "partitionValues": _TEXTS,
                "size": pa.int64(),
                "modificationTime": pa.int64(),
                "dataChange": pa.bool_(),
                "stats": pa.string(),
                "tags": _TEXTS,
            }
        ),
        "remove": pa.struct(
            {
                "path": pa.string(),
                "deletionTimestamp": pa.int64(),
                "dataChange": pa.bool_(),
                "extendedFileMetadata": pa.bool_(),
                "partitionValues": _TEXTS,
                "size": pa.int64(),
            }
        ),
    }
)


def write_checkpoint(storage: TableStore, log_prefix: str, snapshot: TableSnapshot) -> None:
    """Write the checkpoint of this state, and then the object that names it. Repeating the call does no harm."""
    rows: list[Action] = [{"protocol": snapshot.protocol}, {"metaData": snapshot.metadata}]
    rows += [{"txn": action} for action in snapshot.applications.values()]
    # In a checkpoint, no action changes data: it only repeats what earlier commits did.
    rows += [{"add": {**action, "dataChange": False}} for action in snapshot.files.values()]
    rows += [{"remove": {**action, "dataChange": False}} for action in snapshot.removed.values()]
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), body, compression="snappy")
    storage.put(_key(log_prefix, snapshot.version), body.getvalue())
    named = {"version": snapshot.version, "size": len(rows)}
    storage.put(f"{log_prefix}_last_checkpoint", json.dumps(named).encode(), "application/json")


def last_checkpoint(storage: TableStore, log_prefix: str) -> int | None:
    """Return the version of the last checkpoint, or None if there is none that this software can read."""
    try:
        named = json.loads(storage.get(f"{log_prefix}_last_checkpoint"))
        return None if "parts" in named else int(named["version"])
    except (ObjectMissing, ValueError, TypeError, KeyError):
        return None


def read_checkpoint(storage: TableStore, log_prefix: str, version: int) -> TableSnapshot:
    """Return the state of the table at the version of this checkpoint. Raises ObjectMissing and TableLogDamaged."""
    body = storage.get(_key(log_prefix, version))
    try:
        table = pq.read_table(io.BytesIO(body))
        snapshot = TableSnapshot()
        snapshot.apply(version, _actions(table))
    except (pa.ArrowException, KeyError, ValueError):
        raise TableLogDamaged(f"The checkpoint of version {version} cannot be read.", version=version) from None
    if snapshot.metadata is None or snapshot.protocol is None:
        raise TableLogDamaged(f"The checkpoint of version {version} is incomplete.", version=version)
    return snapshot


def _actions(table: Any) -> Iterator[Action]:
    """Yield the actions in the rows, without the fields that have no value.

    Each row has a value in one column, so the nulls are left out first: most of the time would be spent on them.
    """
    for kind in table.column_names:
        for value in table.column(kind).drop_null().to_pylist(maps_as_pydicts="strict"):
            yield {kind: _without_nulls(value)}


def _without_nulls(value: dict[str, Any]) -> Action:
    return {name: member for name, member in value.items() if member is not None}


def _key(log_prefix: str, version: int) -> str:
    return f"{log_prefix}{version_digits(version)}.checkpoint.parquet"


def version_digits(version: int) -> str:
    """Return the 20 digits with which the names of a version's commit and checkpoint begin.

    The order of such names is that of the versions.
    """
    return f"{version:020d}"
