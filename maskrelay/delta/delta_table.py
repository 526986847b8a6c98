"""A Delta table to which several processes add rows at the same time.

Rows are added in numbered parts. The log records, for each application, the number of the last part that it has added.
A part is therefore added once, however often it is repeated. An application is a job here.
"""

import json
import logging
import random
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from maskrelay.contract.tables.table_schema import Column
from maskrelay.delta.checkpoint import write_checkpoint
from maskrelay.delta.delta_log import DeltaLog
from maskrelay.delta.log_cleanup import remove_old_versions
from maskrelay.delta.parquet_rows import ParquetFile
from maskrelay.delta.table_snapshot import (
    NO_TABLE,
    READER_VERSION,
    WRITER_VERSION,
    Action,
    TableSnapshot,
    schema_fields,
)
from maskrelay.delta.table_store import TableStore
from maskrelay.errors import StorageError, StorageUnavailable

log = logging.getLogger(__name__)
#: The most attempts at one commit. An attempt fails if another process was faster.
_ATTEMPTS = 100
#: The longest pause between two attempts, in seconds.
_LONGEST_PAUSE = 0.5
#: A checkpoint is written when the version of the table is a multiple of this number.
CHECKPOINT_EVERY = 20
#: The tag of a file that its application may still replace. Its value is the application. A file without this tag is
#: never replaced by an application, so it can be merged with others.
OWNER = "maskrelay.owner"
#: The milliseconds for which a file is kept after it was removed from the table, because a reader may still use an
#: older version of the table.
RETENTION_MS = 2 * 86_400_000


@dataclass(frozen=True, slots=True)
class TablePart:
    """A part of the rows of an application."""

    application: str
    #: The number of the part, from 1. It is greater than that of all earlier parts of the application.
    number: int
    #: The files are taken one by one, and each is stored before the next is made.
    files: Iterable[ParquetFile]
    #: Whether the rows that the application has added with `owned` are removed in the same step.
    replaces: bool = False
    #: Whether a later part of the application may replace these rows.
    owned: bool = False
    #: Further tags of the files.
    tags: Mapping[str, str] = field(default_factory=dict)


class DeltaTable:
    """The table below `prefix`, which ends in `/`. It is created with its first rows.

    `name` is the name of the table. One thread at a time may use an instance. All methods raise StorageUnavailable and
    TableError.
    """

    def __init__(self, storage: TableStore, prefix: str, name: str, columns: Sequence[Column]) -> None:
        self.storage = storage
        self.prefix = prefix
        self.name = name
        self.columns = columns
        self._log = DeltaLog(storage, prefix, name)

    def refresh(self) -> TableSnapshot:
        """Return the current state of the table."""
        return self._log.refresh()

    def add(self, part: TablePart) -> bool:
        """Add the rows of the part in one step. Return False if the table has this or a later part already.

        Files that interrupted calls for this application have left are removed (see `remove_leftovers`).
        """
        if self.refresh().part_of(part.application) >= part.number:
            self.remove_leftovers(part.application)
            return False
        tags = {**part.tags, **({OWNER: part.application} if part.owned else {})}
        token = secrets.token_hex(4)
        stored = [
            self.store(part_path(part.application, part.number, token, number), file, tags)
            for number, file in enumerate(part.files)
        ]

        def actions(snapshot: TableSnapshot) -> list[Action] | None:
            if snapshot.part_of(part.application) >= part.number:
                return None
            return [txn(part.application, part.number), *_removals(snapshot, part), *({"add": file} for file in stored)]

        added = self.commit(actions, "WRITE")
        self.remove_leftovers(part.application)  # if another process has added the part meanwhile, also of this call
        return added

    def remove_leftovers(self, application: str) -> None:
        """Delete the files of the application that no commit refers to and none can refer to any more.

        The name of a file contains the number of its part. When the log has this part, every other attempt to commit it
        fails, because its version of the log exists already or follows the one with the part. Files of a later part are
        left alone: another process may be about to commit them. If this fails, the next call makes up for it.
        """
        snapshot = self._log.snapshot
        try:
            for key in list(self.storage.list(f"{self.prefix}{application}-")):
                path = key.removeprefix(self.prefix)
                number = part_number(application, path)
                is_over = number is not None and number <= snapshot.part_of(application)
                if is_over and path not in snapshot.files and path not in snapshot.removed:
                    self.storage.delete(key)
        except StorageError as error:
            log.warning("files that were left of a table %s are not removed: %s", self.name, error.code)

    def store(self, path: str, file: ParquetFile, tags: Mapping[str, str], *, data_change: bool = True) -> Action:
        """Store a file, which is not part of the table yet. Return the action that adds it."""
        self.storage.put(self.prefix + path, file.body, "application/vnd.apache.parquet")
        return {
            "path": path,
            "partitionValues": {},
            "size": len(file.body),
            "modificationTime": now_ms(),
            "dataChange": data_change,
            "stats": file.stats,
            "tags": dict(tags),
        }

    def commit(self, actions_of: Callable[[TableSnapshot], list[Action] | None], operation: str) -> bool:
        """Commit the actions that `actions_of` returns for the current state of the table.

        If another process commits first, `actions_of` is called again with the new state. If it returns None, nothing
        is committed, and the result is False.
        """
        for attempt in range(_ATTEMPTS):
            snapshot = self.refresh()
            actions = actions_of(snapshot)
            if actions is None:
                return False
            if self._log.try_commit([*self._definition(snapshot), *actions], operation, now_ms()):
                if self._log.snapshot.version % CHECKPOINT_EVERY == 0:
                    self._write_checkpoint()
                return True
            time.sleep(random.random() * min(0.01 * 2**attempt, _LONGEST_PAUSE))
        raise StorageUnavailable(f"Other processes always commit first to the table {self.name}.", reason="conflict")

    def _definition(self, snapshot: TableSnapshot) -> list[Action]:
        """Return the actions that create the table, or add the columns that it lacks."""
        if snapshot.version == NO_TABLE:
            protocol = {"minReaderVersion": READER_VERSION, "minWriterVersion": WRITER_VERSION}
            metadata = {
                "id": str(uuid.uuid4()),
                "name": self.name,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": _schema_string(schema_fields(self.columns)),
                "partitionColumns": [],
                "configuration": {},
                "createdTime": now_ms(),
            }
            return [{"protocol": protocol}, {"metaData": metadata}]
        if missing := snapshot.missing_columns(self.name, self.columns):
            assert snapshot.metadata is not None
            fields = json.loads(snapshot.metadata["schemaString"])["fields"] + schema_fields(missing)
            return [{"metaData": {**snapshot.metadata, "schemaString": _schema_string(fields)}}]
        return []

    def _write_checkpoint(self) -> None:
        """Delete the files that were removed from the table long ago, and write a checkpoint without them.

        Then remove the old versions of the log. If this fails, readers read more commits, and a later checkpoint makes
        up for it.
        """
        snapshot, log_prefix = self._log.snapshot, f"{self.prefix}_delta_log/"
        try:
            for path in _expired(snapshot):
                self.storage.delete(self.prefix + path)
                del snapshot.removed[path]
            write_checkpoint(self.storage, log_prefix, snapshot)
            remove_old_versions(self.storage, log_prefix, snapshot.version, now_ms())
        except StorageError as error:
            log.warning("a checkpoint of the table %s is not written: %s", self.name, error.code)


def part_path(application: str, number: int, token: str, file: int) -> str:
    """Return the path of a file of a part. `token` differs in every attempt to add the part."""
    return f"{application}-{number}-{token}-{file}.parquet"


def part_number(application: str, path: str) -> int | None:
    """Return the number of the part whose file has this path, or None if it is no such file of the application."""
    number, *rest = path.removeprefix(f"{application}-").removesuffix(".parquet").split("-")
    return int(number) if len(rest) == 2 and number.isdecimal() else None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def removal(file: Action, *, data_change: bool) -> Action:
    """Return the action that removes a file from the table."""
    values = {"deletionTimestamp": now_ms(), "dataChange": data_change, "extendedFileMetadata": True}
    return {"remove": {"path": file["path"], **values, "partitionValues": {}, "size": file["size"]}}


def owned_files(snapshot: TableSnapshot, application: str) -> list[Action]:
    """Return the `add` actions of the files that this application may replace."""
    return [file for file in snapshot.files.values() if file.get("tags", {}).get(OWNER) == application]


def _removals(snapshot: TableSnapshot, part: TablePart) -> list[Action]:
    if not part.replaces:
        return []
    return [removal(file, data_change=True) for file in owned_files(snapshot, part.application)]


def txn(application: str, number: int) -> Action:
    """Return the action that records the part that is committed with it."""
    return {"txn": {"appId": application, "version": number, "lastUpdated": now_ms()}}


def _schema_string(fields: Sequence[Action]) -> str:
    return json.dumps({"type": "struct", "fields": list(fields)}, separators=(",", ":"))


def _expired(snapshot: TableSnapshot) -> list[str]:
    oldest = now_ms() - RETENTION_MS
    return [path for path, action in snapshot.removed.items() if action.get("deletionTimestamp", 0) < oldest]
