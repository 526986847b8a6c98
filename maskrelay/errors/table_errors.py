"""The errors of result tables."""

from maskrelay.errors.base import MaskrelayError


class TableError(MaskrelayError):
    """Rows cannot be added to the result table."""

    def __init__(self, detail: str | None = None, *, table: str = "", version: int | None = None) -> None:
        super().__init__(detail)
        #: The name of the table, such as `masks`.
        self.table = table
        #: The version of the table's log at which the problem is.
        self.version = version


class TableForeignCommit(TableError):
    """Another program has written to the log of the result table."""


class TableProtocolUnsupported(TableError):
    """The result table requires a newer version of the Delta protocol than this service writes."""


class TableSchemaDifferent(TableError):
    """The result table has a column whose type differs from that of the rows, or it is partitioned."""


class TableLogDamaged(TableError):
    """The log of the result table has a gap, or contains something that is not a commit."""
