"""The places of the tenants' result tables, and the jobs whose rows belong into them."""

from pathlib import Path

from maskrelay.contract.records.job import Submission
from maskrelay.delta.places_file import TenantTables, read_tables_file
from maskrelay.errors import SettingsError


class TablePlaces:
    """The entries of the file at `path`, which is read again when it changes. Without a file, there are none."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._read: tuple[int, dict[str, TenantTables]] = (0, {})

    def of(self, tenant: str) -> TenantTables:
        """Return the entry of the tenant. Raises SettingsError if the file cannot be used."""
        if self._path is None:
            return TenantTables()
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._read[0]:
                self._read = changed, read_tables_file(self._path)
        except OSError as error:
            raise SettingsError(f"the file of tables cannot be read ({error.strerror})") from None
        return self._read[1].get(tenant, TenantTables())

    def wanted(self, submission: Submission) -> bool:
        """Return whether the job adds rows to the tables.

        While the file cannot be used, the answer is yes, so that no row is lost. The step that adds the rows reports
        the error.
        """
        try:
            return "table" in submission.outputs or self.of(submission.tenant).always
        except SettingsError:
            return True
