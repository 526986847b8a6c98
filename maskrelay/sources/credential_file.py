"""The credentials file, which says from where each tenant may read, and with which credential.

The file is a JSON list. `docs/howto/sources-by-reference.md` describes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from maskrelay.errors import CredentialUnknown, SettingsError, SourceInvalid, SourceNotAllowed
from maskrelay.reread_file import RereadFile
from maskrelay.settings import name_of
from maskrelay.sources.credential_kinds import (
    AzureCredential,
    Credential,
    CredentialBase,
    DicomwebCredential,
    FileCredential,
    S3Credential,
)
from maskrelay.sources.source_urls import read_source_url

_ENTRIES: TypeAdapter[tuple[Credential, ...]] = TypeAdapter(tuple[Credential, ...])
Right = Literal["reads", "writes"]
#: The credentials with which objects can be written.
StoreCredential = S3Credential | AzureCredential | FileCredential


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the results of a job are stored: a DICOMweb service, or a prefix of a store.

    `root` is the `https` URL of the service, or the URL of the prefix. Both end with `/`.
    """

    credential: CredentialBase
    root: str


class CredentialFile:
    """The credentials in a file, which is read again when it changes.

    If the changed file cannot be read, the previous credentials stay in use (see `RereadFile`). Without a file, there
    are no credentials.
    """

    def __init__(self, file: RereadFile[tuple[CredentialBase, ...]] | None) -> None:
        self._file = file

    @classmethod
    def open(cls, path: str | None) -> Self:
        """Read the file for the first time. Raises SettingsError if that is not possible."""
        return cls(None if path is None else RereadFile.open(Path(path), "credentials", read_credentials))

    def readable(self, tenant: str, url: str, name: str | None) -> CredentialBase:
        """Return the credential with which the tenant may read this URL, or the objects below this prefix.

        If `name` is None, it is the credential with the longest prefix that contains the URL. Raises SourceInvalid,
        CredentialUnknown or SourceNotAllowed. A credential that gives the tenant no prefix is unknown to the tenant.
        """
        return self._allowed("reads", tenant, url, name)[0]

    def writable(self, tenant: str, url: str, name: str | None) -> CredentialBase:
        """Return the credential with which objects may be written at this URL for the tenant, like `readable`."""
        return self._allowed("writes", tenant, url, name)[0]

    def writable_prefix(self, tenant: str, url: str, name: str) -> tuple[StoreCredential, str]:
        """Return the credential of a store, and its longest prefix that contains the URL.

        Raises CredentialUnknown or SourceInvalid like `writable`, and SourceNotAllowed also if the credential is not
        that of a store.
        """
        credential, prefix = self._allowed("writes", tenant, url, name)
        return _of_store(credential), prefix

    def check_store(self, tenant: str, name: str) -> None:
        """Check that the tenant may write objects with this credential to a store.

        Raises CredentialUnknown, and SourceNotAllowed for a credential of another kind.
        """
        _of_store(self._granted(tenant, name))

    def destination(self, tenant: str, name: str, prefix: str | None = None) -> "Destination":
        """Return the DICOMweb service, or the prefix of a store, to which this credential may write for the tenant.

        `prefix` is a URL that ends with `/`, below a prefix of the credential. It may be None if the credential has
        only one prefix. Raises CredentialUnknown if the tenant has no such credential, SourceInvalid for an invalid
        prefix, and SourceNotAllowed if the credential does not allow it.
        """
        entry = self._granted(tenant, name)
        return _destination(entry, entry.writes[tenant], prefix)

    def _granted(self, tenant: str, name: str) -> CredentialBase:
        """Return the credential with this name, with which the tenant may write. Raises CredentialUnknown."""
        for entry in self._current():
            if entry.name == name and tenant in entry.writes:
                return entry
        raise CredentialUnknown

    def _allowed(self, right: Right, tenant: str, url: str, name: str | None) -> tuple[CredentialBase, str]:
        """Return the credential that allows this, and its longest prefix that contains the URL."""
        text = read_source_url(url).text
        listed = ((entry, getattr(entry, right)) for entry in self._current())
        granted = [(entry, prefixes[tenant]) for entry, prefixes in listed if tenant in prefixes]
        if name is not None:
            granted = [(entry, prefixes) for entry, prefixes in granted if entry.name == name]
            if not granted:
                raise CredentialUnknown
        fitting = [(entry, prefix) for entry, prefixes in granted for prefix in prefixes if text.startswith(prefix)]
        if not fitting:
            raise SourceNotAllowed
        return max(fitting, key=lambda found: len(found[1]))

    def _current(self) -> tuple[CredentialBase, ...]:
        return () if self._file is None else self._file.current()


def _destination(entry: CredentialBase, allowed: Sequence[str], prefix: str | None) -> Destination:
    if isinstance(entry, DicomwebCredential):
        if len(allowed) != 1 or prefix is not None:
            raise SourceNotAllowed("The credential does not name one DICOMweb service to write to.")
        return Destination(entry, allowed[0].removeprefix("dicomweb+"))
    _of_store(entry)
    if prefix is None:
        if len(allowed) != 1:
            raise SourceNotAllowed("The credential has several prefixes. Choose one.")
        return Destination(entry, allowed[0])
    root = read_source_url(prefix).text
    if not root.endswith("/"):
        raise SourceInvalid("The prefix must end with `/`.")
    if not any(root.startswith(each) for each in allowed):
        raise SourceNotAllowed("The credential does not allow objects to be written below this prefix.")
    return Destination(entry, root)


def _of_store(entry: CredentialBase) -> StoreCredential:
    if not isinstance(entry, S3Credential | AzureCredential | FileCredential):
        raise SourceNotAllowed("Objects cannot be written with a credential of this kind.")
    return entry


def read_credentials(path: Path) -> tuple[CredentialBase, ...]:
    """Read all credentials of the file.

    Raises SettingsError if the file cannot be read or is not valid. The error names the location of the mistake, but
    quotes no value.
    """
    try:
        entries = _ENTRIES.validate_json(path.read_bytes())
    except OSError as error:
        raise _unreadable(error) from None
    except ValidationError as error:
        raise SettingsError(f"{_NAME} is not valid: {'; '.join(map(_said, error.errors()))}", names=(_NAME,)) from None
    if len({entry.name for entry in entries}) < len(entries):
        raise SettingsError(f"{_NAME} is not valid: it contains a name twice", names=(_NAME,))
    return entries


_NAME = name_of("credentials_file")


def _said(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _unreadable(error: OSError) -> SettingsError:
    return SettingsError(f"{_NAME} cannot be read: {error.strerror}", names=(_NAME,))
