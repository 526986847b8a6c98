"""The storage account of an Azure Blob Storage container: its URL and its credential.

The environment variables have the names that Azure's own tools use: `AZURE_STORAGE_CONNECTION_STRING`, or
`AZURE_STORAGE_ACCOUNT` with `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`. Without a key and a signature, the
identity of the machine is used, such as a workload identity or a managed identity.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from maskrelay.errors import SettingsError
from maskrelay.storage.azure_credentials import AccountKey, AzureCredential, EntraIdentity, SasToken

_NAME = re.compile(r"[a-z0-9]{3,24}")
_SUFFIX = "core.windows.net"


@dataclass(frozen=True, slots=True)
class AzureAccount:
    """A storage account."""

    #: The URL of its blob service, such as `https://account.blob.core.windows.net`, without a slash at its end.
    url: str
    credential: AzureCredential


def azure_account(
    *,
    name: str | None = None,
    url: str | None = None,
    connection_string: str | None = None,
    key: str | None = None,
    sas: str | None = None,
    client_id: str | None = None,
) -> AzureAccount:
    """Return the account that these values describe.

    `url` is the URL of the blob service, if it is not the one of the public cloud. `client_id` selects one of several
    managed identities. Raises SettingsError, whose text contains none of the values.
    """
    if connection_string:
        parts = connection_parts(connection_string)
        found = parts.get("accountname")
        if name and found and found != name:
            raise SettingsError("the connection string is that of another storage account than the storage URL")
        name = name or found
        url = parts.get("blobendpoint") or url or _public(name, parts)
        key, sas = key or parts.get("accountkey"), sas or parts.get("sharedaccesssignature")
    url = (url or _public(name, {})).rstrip("/")
    where = urlsplit(url)
    if where.scheme not in {"http", "https"} or not where.hostname or where.query or where.fragment:
        raise SettingsError("the URL of the Azure storage account must begin with https:// or http:// and a host")
    if key:
        return AzureAccount(url, AccountKey(_checked(name or _of_host(url)), _decoded(key)))
    if sas:
        return AzureAccount(url, SasToken(sas))
    if where.scheme != "https":
        raise SettingsError("an identity's token is sent to an Azure storage account only by https")
    return AzureAccount(url, EntraIdentity(_checked(name or _of_host(url)), client_id))


def account_of_environment(environment: Mapping[str, str], name: str | None, url: str | None) -> AzureAccount:
    """Return the account that the environment describes. `name` and `url` are those of the storage URL, if any."""

    def given(*names: str) -> str | None:
        return next((environment[variable] for variable in names if environment.get(variable)), None)

    account = given("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
    return azure_account(
        name=name or account,
        url=url or given("AZURE_STORAGE_SERVICE_ENDPOINT"),
        connection_string=given("AZURE_STORAGE_CONNECTION_STRING"),
        key=given("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"),
        sas=given("AZURE_STORAGE_SAS_TOKEN"),
        client_id=given("AZURE_CLIENT_ID"),
    )


def connection_parts(connection_string: str) -> dict[str, str]:
    """Return the parts of a connection string by their names in lower case."""
    pairs = (part.partition("=") for part in connection_string.split(";") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _public(name: str | None, parts: Mapping[str, str]) -> str:
    protocol, suffix = parts.get("defaultendpointsprotocol", "https"), parts.get("endpointsuffix", _SUFFIX)
    return f"{protocol}://{_checked(name)}.blob.{suffix}"


def _of_host(url: str) -> str:
    """Return the account's name from the URL: the first label of the host, or the path of an emulator's URL."""
    parts = urlsplit(url)
    return parts.path.strip("/") or (parts.hostname or "").partition(".")[0].removesuffix("-secondary")


def _checked(name: str | None) -> str:
    if name is None:
        raise SettingsError(
            "the Azure storage account is unknown: set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT, "
            "or name it in the storage URL"
        )
    if not _NAME.fullmatch(name):
        raise SettingsError("the name of an Azure storage account has 3 to 24 lower-case letters and digits")
    return name


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except binascii.Error:
        raise SettingsError("the key of the Azure storage account is not valid base64") from None
