"""The places of the tenants' result tables, and the jobs whose rows belong into them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, StrictBool, TypeAdapter, ValidationError

from maskrelay.contract.records import keys
from maskrelay.contract.records.job import Submission
from maskrelay.errors import SettingsError


class TenantTables(BaseModel):
    """The entry of one tenant in the file of places."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: The URL of the folder or bucket of the tables. None means a prefix of the result store.
    tables_url: str | None = None
    #: Whether every job of the tenant adds its rows.
    always: StrictBool = False


_FILE = TypeAdapter(dict[str, TenantTables])


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


def read_tables_file(path: Path) -> dict[str, TenantTables]:
    """Return the entries by tenant. Raises OSError, and SettingsError, which names the place but quotes no value."""
    try:
        entries = _FILE.validate_json(path.read_bytes())
    except ValidationError as error:
        places = (".".join(map(str, problem["loc"])) + ": " + problem["msg"] for problem in error.errors())
        raise SettingsError(f"the file of tables is not valid: {'; '.join(places)}") from None
    if not all(keys.TENANT.fullmatch(tenant) for tenant in entries):
        raise SettingsError("the file of tables is not valid: a name is not that of a tenant")
    return entries
