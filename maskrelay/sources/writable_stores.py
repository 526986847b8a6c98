"""Stores that are written with a credential of the credentials file, instead of the credentials of the process."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from maskrelay.errors import CredentialUnknown, SettingsError, SourceInvalid, SourceNotAllowed, SourceUnavailable
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.credential_kinds import AzureCredential, CredentialBase, FileCredential, S3Credential
from maskrelay.sources.source_urls import read_source_url
from maskrelay.storage.factory import open_storage
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.protocol import BINARY, Storage, Writer


def open_writable(credentials: CredentialFile, tenant: str, url: str, name: str) -> Storage:
    """Return the store at a URL below which the credential may write for the tenant. No request is sent.

    Raises SettingsError if it may not, or if the credential cannot be used. The error contains neither the URL nor a
    secret.
    """
    try:
        credential = credentials.writable(tenant, f"{url.rstrip('/')}/", name)
        return _open_with_secret(url, credential)
    except CredentialUnknown:
        raise SettingsError("the credential is unknown, or gives this tenant no prefix to write to") from None
    except (SourceInvalid, SourceNotAllowed):
        raise SettingsError("the credential may not write to this place for this tenant") from None


class SourceFolders:
    """The folders of sources, into which files are written with one credential for a tenant."""

    def __init__(self, credentials: CredentialFile, tenant: str, name: str) -> None:
        self._credentials = credentials
        self._tenant = tenant
        self._name = name
        #: The stores by their URLs. Each is opened once, so that its connections are used again.
        self._stores: dict[str, Storage] = {}

    def writer(self, url: str, content_type: str = BINARY) -> Writer:
        """Return a writer for the object at this URL.

        Raises SourceInvalid, SourceNotAllowed or KeyInvalid if the tenant may not write there, or no object can be
        there, and CredentialUnknown or SettingsError if the credential cannot be used at all. Raises
        StorageUnavailable.
        """
        credential, prefix = self._credentials.writable_prefix(self._tenant, url, self._name)
        place = read_source_url(url)
        if isinstance(credential, FileCredential):
            # No symbolic link below the prefix is followed, so nothing is written outside of it.
            store = self._stores.setdefault(prefix, FileStorage(Path(read_source_url(prefix).file_path)))
            return store.writer_at(os.fsdecode(unquote_to_bytes(url.removeprefix(prefix))), content_type)
        root = f"{place.scheme}://{place.place}/"
        if root not in self._stores:
            self._stores[root] = _open_with_secret(root, credential)
        return self._stores[root].writer_at(place.path, content_type)


def _open_with_secret(url: str, credential: CredentialBase) -> Storage:
    try:
        return _open(url, credential, credential.secret_text())
    except SourceUnavailable:
        raise SettingsError("the file with the secret of the credential cannot be read") from None


def _open(url: str, credential: CredentialBase, secret: str | None) -> Storage:
    if isinstance(credential, FileCredential):
        return open_storage(url, None)
    if isinstance(credential, S3Credential) and not credential.anonymous:
        from maskrelay.storage.s3_clients import S3Account  # noqa: PLC0415 - boto3 is needed for S3 only

        token = credential.session_token.get_secret_value() if credential.session_token else None
        account = S3Account(credential.region, credential.access_key_id, secret, token)
        return open_storage(url, credential.endpoint_url, s3_account=account)
    if isinstance(credential, AzureCredential):
        kinds = {"account_key": "key", "sas": "sas", "connection_string": "connection_string"}
        values: dict[str, Any] = {kinds[credential.auth]: secret, "client_id": credential.client_id}
        values |= {"name": credential.account, "url": credential.endpoint_url}
        return open_storage(url, None, azure_values=values)
    raise SettingsError("objects cannot be written with a credential of this kind")
