"""The pseudonyms by which a site names its studies and series, so that results join the site's other tables.

The operator's file is a JSON object with an entry for each tenant. An entry has a key for keyed hashes, or a mapping.
"""

import csv
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from maskrelay.contract.records import keys
from maskrelay.errors import IdentifierUnmapped, SettingsError
from maskrelay.reread_file import RereadFile

#: The shortest key. A shorter one could be found by trying all keys.
_SHORTEST_KEY = 16
_LONGEST_PSEUDONYM = 128
_HEADER = ["identifier", "pseudonym"]
Pseudonym = Annotated[str, Field(min_length=1, max_length=_LONGEST_PSEUDONYM)]


class SiteEntry(BaseModel):
    """The entry of one tenant. Exactly one of its members is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: The key of the hashes.
    key: Annotated[SecretStr, Field(min_length=_SHORTEST_KEY)] | None = None
    #: A file with the key.
    key_file: str | None = None
    #: The pseudonyms by identifier.
    mapping: dict[str, Pseudonym] | None = None
    #: A CSV file with the columns `identifier` and `pseudonym`.
    mapping_file: str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if sum(member is not None for member in (self.key, self.key_file, self.mapping, self.mapping_file)) != 1:
            raise ValueError("expected exactly one of key, key_file, mapping and mapping_file")
        return self


_FILE = TypeAdapter(dict[Annotated[str, Field(pattern=f"^{keys.TENANT.pattern}$")], SiteEntry])


class SiteIdentifiers:
    """The entries of the file at `path`, which is read again when it changes, as are the files that it names.

    Any thread may use an instance. The mappings are in memory. Without a file, no tenant has pseudonyms.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: RereadFile[dict[str, SiteEntry]] | None = None
        #: The files that the entries name, by path.
        self._mappings: dict[str, RereadFile[Mapping[str, str]]] = {}
        self._keys: dict[str, RereadFile[bytes]] = {}

    def pseudonym(self, tenant: str, identifier: str) -> str:
        """Return the site's pseudonym of an identifier.

        Raises IdentifierUnmapped if the site has none, or if it cannot be found out. The error contains no identifier.
        """
        try:
            found = self._pseudonym(tenant, identifier)
        except SettingsError:
            raise IdentifierUnmapped("the site's pseudonyms cannot be read") from None
        if found is None:
            raise IdentifierUnmapped
        return found

    def _pseudonym(self, tenant: str, identifier: str) -> str | None:
        entry = self._entry(tenant)
        if entry.mapping is not None:
            return entry.mapping.get(identifier)
        if entry.mapping_file is not None:
            return self._mapping(entry.mapping_file).get(identifier)
        key = entry.key.get_secret_value().encode() if entry.key is not None else self._key(str(entry.key_file))
        return hmac.digest(key, identifier.encode(), "sha256").hex()

    def _entry(self, tenant: str) -> SiteEntry:
        if self._path is None:
            raise SettingsError("there is no file of site identifiers")
        if self._file is None:
            self._file = RereadFile.open(Path(self._path), "site identifiers", read_site_file)
        entry = self._file.current().get(tenant)
        if entry is None:
            raise SettingsError("the tenant has no site identifiers")
        return entry

    def _mapping(self, path: str) -> Mapping[str, str]:
        if path not in self._mappings:
            self._mappings[path] = RereadFile.open(Path(path), "mapping of site identifiers", read_mapping)
        return self._mappings[path].current()

    def _key(self, path: str) -> bytes:
        if path not in self._keys:
            self._keys[path] = RereadFile.open(Path(path), "key of site identifiers", read_key)
        return self._keys[path].current()


def read_site_file(path: Path) -> dict[str, SiteEntry]:
    """Return the entries by tenant. Raises SettingsError, which names the place of a mistake but quotes no value."""
    try:
        return _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"the file of site identifiers cannot be read ({error.strerror})") from None
    except ValidationError as error:
        # A key of a mapping is an identifier, so only the first two parts of a place are shown.
        said = (".".join(map(str, each["loc"][:2])) + ": " + each["msg"] for each in error.errors())
        raise SettingsError(f"the file of site identifiers is not valid: {'; '.join(said)}") from None


def read_mapping(path: Path) -> Mapping[str, str]:
    """Return the pseudonyms in a CSV file by identifier. Raises SettingsError, which names the line of a mistake."""
    mapping: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            if next(rows, None) != _HEADER:
                raise SettingsError("line 1 of the mapping must be: identifier,pseudonym")
            for row in filter(None, rows):  # empty lines are skipped
                if not _is_pair(row) or mapping.setdefault(row[0], row[1]) != row[1]:
                    raise SettingsError(f"line {rows.line_num} of the mapping is not an identifier with one pseudonym")
    except OSError as error:
        raise SettingsError(f"the mapping cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error):
        raise SettingsError("the mapping is not CSV in UTF-8") from None
    return mapping


def _is_pair(row: list[str]) -> bool:
    return len(row) == 2 and bool(row[0]) and 0 < len(row[1]) <= _LONGEST_PSEUDONYM


def read_key(path: Path) -> bytes:
    """Return the key in a file, without white space at its ends. Raises SettingsError."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"the key cannot be read ({error.strerror})") from None
    if len(key) < _SHORTEST_KEY:
        raise SettingsError(f"the key has fewer than {_SHORTEST_KEY} bytes")
    return key
