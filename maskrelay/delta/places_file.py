"""The file with the places of the tenants' result tables."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, StrictBool, TypeAdapter, ValidationError, model_validator

from maskrelay.contract.records import keys
from maskrelay.errors import SettingsError
from maskrelay.settings import Settings
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.writable_stores import open_writable
from maskrelay.storage.factory import open_configured
from maskrelay.storage.protocol import Storage


class TenantTables(BaseModel):
    """The entry of one tenant in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: The URL of the folder or bucket of the tables. None means a prefix of the result store.
    tables_url: str | None = None
    #: The name of the credential with which the tables are written. It must give the tenant a prefix in `writes` that
    #: contains `tables_url`. None means the credentials of the result store.
    credential: str | None = None
    #: Whether every job of the tenant adds its rows.
    always: StrictBool = False

    @model_validator(mode="after")
    def _has_place(self) -> Self:
        if self.credential is not None and self.tables_url is None:
            raise ValueError("credential needs tables_url")
        return self


_FILE = TypeAdapter(dict[str, TenantTables])


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


def open_place(settings: Settings, credentials: CredentialFile, tenant: str, place: TenantTables) -> Storage:
    """Return the store at the `tables_url` of this entry. No request is sent.

    Raises SettingsError if the URL is not valid, or if the credential may not write to it for the tenant.
    """
    assert place.tables_url is not None
    if place.credential is not None:
        return open_writable(credentials, tenant, place.tables_url, place.credential)
    return open_configured(settings.model_copy(update={"storage_url": place.tables_url}))
