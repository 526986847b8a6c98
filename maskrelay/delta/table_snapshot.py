"""The state of a Delta table at one version: the result of all actions in its log up to this version."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from maskrelay.contract.tables.table_schema import Column
from maskrelay.errors import TableLogDamaged, TableProtocolUnsupported, TableSchemaDifferent

#: The protocol that is written: the first that every reader supports.
READER_VERSION, WRITER_VERSION = 1, 2
#: The version before the first commit.
NO_TABLE = -1
Action = dict[str, Any]


@dataclass(slots=True)
class TableSnapshot:
    """The state of a table. `apply` moves it to the next version.

    The actions of the log are kept as they are, so a checkpoint contains also what a newer version of this software
    has added to them.
    """

    version: int = NO_TABLE
    metadata: Action | None = None
    protocol: Action | None = None
    #: The `add` action of each file of the table, by the path of the file.
    files: dict[str, Action] = field(default_factory=dict)
    #: The `remove` action of each file that older versions of the table have, by the path of the file.
    removed: dict[str, Action] = field(default_factory=dict)
    #: The `txn` action of each application.
    applications: dict[str, Action] = field(default_factory=dict)

    def part_of(self, application: str) -> int:
        """Return the number of the last part that this application has committed, or 0."""
        known = self.applications.get(application)
        return int(known["version"]) if known else 0

    def apply(self, version: int, actions: Iterable[Mapping[str, Any]]) -> None:
        """Apply the actions of a commit. Raises TableLogDamaged if one of them is not an action of the protocol."""
        try:
            for action in actions:
                self._apply(action)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TableLogDamaged(f"Version {version} of the log cannot be read.", version=version) from None
        self.version = version

    def _apply(self, action: Mapping[str, Any]) -> None:
        for kind, value in action.items():
            match kind:
                case "add":
                    self.removed.pop(value["path"], None)
                    self.files[value["path"]] = value
                case "remove":
                    self.files.pop(value["path"], None)
                    self.removed[value["path"]] = value
                case "txn":
                    self.applications[value["appId"]] = value
                case "metaData":
                    self.metadata = value
                case "protocol":
                    self.protocol = value

    def check_writable(self, table: str) -> None:
        """Raise TableProtocolUnsupported if this software must not write to the table."""
        protocol = self.protocol or {}
        versions = protocol.get("minReaderVersion", 0), protocol.get("minWriterVersion", 0)
        if versions[0] > READER_VERSION or versions[1] > WRITER_VERSION:
            raise TableProtocolUnsupported(
                f"The table {table} requires version {versions[0]} for readers and {versions[1]} for writers.",
                table=table,
                version=self.version,
            )

    def schema(self, table: str) -> dict[str, str]:
        """Return the types of the table's columns by name. Raises TableSchemaDifferent if it is partitioned."""
        assert self.metadata is not None
        try:
            fields = json.loads(self.metadata["schemaString"])["fields"]
            found = {entry["name"]: json.dumps(entry["type"]).strip('"') for entry in fields}
            is_partitioned = bool(self.metadata.get("partitionColumns"))
        except (KeyError, TypeError, ValueError):
            raise TableLogDamaged(f"The schema of the table {table} cannot be read.", table=table) from None
        if is_partitioned:
            raise TableSchemaDifferent(f"The table {table} is partitioned.", table=table, version=self.version)
        return found

    def missing_columns(self, table: str, columns: Iterable[Column]) -> list[Column]:
        """Return the columns that the table does not have. Raises TableSchemaDifferent if a type differs."""
        found, missing = self.schema(table), []
        for column in columns:
            if column.name not in found:
                missing.append(column)
            elif found[column.name] != column.type:
                detail = f"The column {column.name} of the table {table} has another type than {column.type}."
                raise TableSchemaDifferent(detail, table=table, version=self.version)
        return missing


def schema_fields(columns: Iterable[Column]) -> list[Action]:
    """Return the columns as the fields of a Delta schema."""
    return [
        {"name": column.name, "type": column.type, "nullable": True, "metadata": {"comment": column.about}}
        for column in columns
    ]
