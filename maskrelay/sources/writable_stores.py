"""Stores that are written with a credential of the credentials file, instead of the credentials of the process."""

from typing import Any

from maskrelay.errors import CredentialUnknown, SettingsError, SourceInvalid, SourceNotAllowed, SourceUnavailable
from maskrelay.sources.credential_file import CredentialFile
from maskrelay.sources.credential_kinds import AzureCredential, CredentialBase, FileCredential, S3Credential
from maskrelay.storage.factory import open_storage
from maskrelay.storage.protocol import Storage


def open_writable(credentials: CredentialFile, tenant: str, url: str, name: str) -> Storage:
    """Return the store at a URL below which the credential may write for the tenant. No request is sent.

    Raises SettingsError if it may not, or if the credential cannot be used. The error contains neither the URL nor a
    secret.
    """
    try:
        credential = credentials.writable(tenant, f"{url.rstrip('/')}/", name)
        return _open(url, credential, credential.secret_text())
    except CredentialUnknown:
        raise SettingsError("the credential is unknown, or gives this tenant no prefix to write to") from None
    except (SourceInvalid, SourceNotAllowed):
        raise SettingsError("the credential may not write to this place for this tenant") from None
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
