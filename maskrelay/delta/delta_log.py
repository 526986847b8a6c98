"""The log of a Delta table: how it is read, and how a commit is added to it."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version as version_of

from maskrelay.delta.checkpoint import last_checkpoint, read_checkpoint, version_digits
from maskrelay.delta.table_snapshot import NO_TABLE, Action, TableSnapshot
from maskrelay.delta.table_store import TableStore
from maskrelay.errors import (
    ObjectExists,
    ObjectMissing,
    TableError,
    TableForeignCommit,
    TableLogDamaged,
)

#: The beginning of the name by which this software identifies its commits.
ENGINE = "maskrelay/"


class DeltaLog:
    """The log of the table below `prefix`, which ends in `/`. `table` is the name of the table in errors.

    The snapshot is kept, so `refresh` reads only what is new. One thread at a time may use an instance.
    """

    def __init__(self, storage: TableStore, prefix: str, table: str) -> None:
        self._storage = storage
        self._prefix = f"{prefix}_delta_log/"
        self._table = table
        self.snapshot = TableSnapshot()

    def refresh(self) -> TableSnapshot:
        """Read the commits since the last call, and return the current state of the table.

        Raises TableForeignCommit if another program wrote one of them, TableLogDamaged if the log has a gap or one of
        them cannot be read, TableProtocolUnsupported, and StorageUnavailable.
        """
        try:
            self._read()
        except TableError as error:
            error.table = self._table
            self.snapshot = TableSnapshot()  # it may be incomplete, so the next call begins again
            raise
        self.snapshot.check_writable(self._table)
        return self.snapshot

    def _read(self) -> None:
        known = self.snapshot.version
        if known == NO_TABLE:
            self._read_checkpoint()
        versions = self._versions(after=self.snapshot.version - 1)
        if known != NO_TABLE and known not in versions:  # the table was deleted
            self.snapshot = TableSnapshot()
            self._read()
            return
        for version in versions:
            if version <= self.snapshot.version:
                continue
            if version != self.snapshot.version + 1:
                raise TableLogDamaged(f"Version {self.snapshot.version + 1} of the log is missing.", version=version)
            self.snapshot.apply(version, self._commit(version))

    def _versions(self, after: int) -> list[int]:
        """Return the versions of the commits after this one, in order."""
        names = (
            key.removeprefix(self._prefix)
            for key in self._storage.list(self._prefix, self._key(after) if after >= 0 else "")
        )
        return [version for name in names if (version := _version_of(name)) is not None]

    def _read_checkpoint(self) -> None:
        """Begin with the last checkpoint. If it is missing or cannot be read, begin with the first commit.

        The commit of this version is read too: nothing is committed after the commit of another program, so a
        checkpoint that follows one would hide it. Raises TableForeignCommit.
        """
        version = last_checkpoint(self._storage, self._prefix)
        if version is not None:
            with suppress(ObjectMissing, TableLogDamaged):
                self._commit(version)
                self.snapshot = read_checkpoint(self._storage, self._prefix, version)

    def _commit(self, version: int) -> list[Action]:
        """Return the actions of a commit. Raises TableForeignCommit if another program wrote it."""
        try:
            actions = [json.loads(line) for line in self._storage.get(self._key(version)).splitlines() if line.strip()]
            engines = [str(action["commitInfo"].get("engineInfo")) for action in actions if "commitInfo" in action]
        except (ValueError, TypeError, AttributeError):
            raise TableLogDamaged(f"Version {version} of the log cannot be read.", version=version) from None
        if not any(engine.startswith(ENGINE) for engine in engines):
            # A newer protocol explains more than the name of a program, so it is reported first.
            TableSnapshot(version, protocol=_protocol(actions)).check_writable(self._table)
            raise TableForeignCommit(f"Another program wrote version {version} of the log.", version=version)
        return actions

    def try_commit(self, actions: Sequence[Action], operation: str, at_ms: int) -> bool:
        """Add a commit after the version of `snapshot`. Return False if another commit has this version already.

        Raises StorageUnavailable. The commit may exist nevertheless. The next call finds this out by its `txn` action.
        """
        about = {"timestamp": at_ms, "operation": operation, "engineInfo": f"{ENGINE}{version_of('maskrelay')}"}
        lines = [json.dumps(action, separators=(",", ":")) for action in ({"commitInfo": about}, *actions)]
        version = self.snapshot.version + 1
        try:
            self._storage.create(self._key(version), "\n".join(lines).encode() + b"\n", "application/json")
        except ObjectExists:
            return False
        self.snapshot.apply(version, actions)
        return True

    def _key(self, version: int) -> str:
        return f"{self._prefix}{version_digits(version)}.json"


def _version_of(name: str) -> int | None:
    """Return the version of the commit whose object has this name, or None for another object of the log."""
    digits, _, ending = name.partition(".")
    return int(digits) if ending == "json" and len(digits) == 20 and digits.isdecimal() else None


def _protocol(actions: Iterable[Action]) -> Action | None:
    return next((action["protocol"] for action in actions if isinstance(action.get("protocol"), dict)), None)
