"""Functions that open the store named by a setting, and check that it can be used."""

import logging
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from maskrelay.contract.records.keys import TRIALS
from maskrelay.errors import KeyInvalid, ObjectExists, SettingsError, StorageUnavailable
from maskrelay.settings import Settings
from maskrelay.storage.file_store import FileStorage
from maskrelay.storage.protocol import Storage, check_key

if TYPE_CHECKING:
    from maskrelay.storage.s3_clients import S3Account

log = logging.getLogger(__name__)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: The name of a container, or of a workspace of OneLake.
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,61}[A-Za-z0-9]")
#: The host of a storage account. The blob service answers for both of its endpoints.
_AZURE_HOST = re.compile(r"(?P<account>[a-z0-9]{3,24})(?P<zone>\.z\d+)?\.(?:blob|dfs)\.(?P<suffix>[a-z0-9.-]+)")
_FORMS = (
    "the storage URL must be file:///folder, s3://bucket/prefix, az://container/prefix, "
    "abfss://container@account.dfs.core.windows.net/prefix or https://account.blob.core.windows.net/container/prefix"
)


def open_configured(settings: Settings, *, before_fork: bool = False) -> Storage:
    """Return the store that the settings describe, see `open_storage`."""
    secret = settings.azure_connection_string
    connection = secret.get_secret_value() if secret else None
    return open_storage(settings.storage_url, settings.s3_endpoint_url, connection, before_fork=before_fork)


def open_storage(
    url: str,
    s3_endpoint_url: str | None,
    azure_connection_string: str | None = None,
    *,
    before_fork: bool = False,
    s3_account: "S3Account | None" = None,
    azure_values: Mapping[str, str | None] | None = None,
) -> Storage:
    """Return the store at a URL in one of the forms of the setting `storage_url`. A folder must exist.

    No request is sent yet. `s3_endpoint_url` is the URL of an S3-compatible server, or None for AWS. Without a
    connection string, the environment describes the account of Azure, see `azure_account`. `before_fork` says that this
    process will fork. In this case, the store starts no threads, and each child process must open its own store.
    `s3_account`, or `azure_values` (the arguments of `azure_account`), replaces the credentials of the process. Raises
    SettingsError if the URL, or the configuration of boto3, cannot be used.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:  # in the name of a folder, `?` and `#` must be encoded
        raise SettingsError(_FORMS)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return FileStorage(Path(unquote(parts.path)))
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        from maskrelay.storage.s3 import S3Storage  # noqa: PLC0415 - boto3 is not needed for a store of files

        try:
            endpoint_url = _endpoint(s3_endpoint_url)
            chosen: dict[str, Any] = {"before_fork": before_fork, "account": s3_account}
            return S3Storage.open(parts.netloc, _prefix(parts.path), endpoint_url, **chosen)
        except StorageUnavailable as error:
            raise SettingsError(f"boto3's configuration cannot be used ({error.reason})") from None
    if parts.scheme in {"az", "abfss", "https"}:
        values = azure_values or ({"connection_string": azure_connection_string} if azure_connection_string else None)
        return _open_azure(parts, values)
    raise SettingsError(_FORMS)


def _open_azure(parts: SplitResult, values: Mapping[str, str | None] | None) -> Storage:
    from maskrelay.storage.azure_account import account_of_environment, azure_account  # noqa: PLC0415 - as for boto3
    from maskrelay.storage.azure_store import AzureStorage  # noqa: PLC0415

    container, at, host = parts.netloc.partition("@") if parts.scheme == "abfss" else (parts.netloc, "", "")
    path = parts.path
    if parts.scheme == "https":
        host = container
        container, _, path = path.lstrip("/").partition("/")
    where = _AZURE_HOST.fullmatch(host)
    if not _CONTAINER.fullmatch(container) or (where is None and (at or parts.scheme != "az")):
        raise SettingsError(_FORMS)
    name = where["account"] if where else None
    url = where and f"https://{where['account']}{where['zone'] or ''}.blob.{where['suffix']}"
    if values:
        account = azure_account(**{**values, "name": name or values.get("name"), "url": values.get("url") or url})
    else:
        account = account_of_environment(os.environ, name, url)
    return AzureStorage.open(account, container, _prefix(path))


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    try:
        check_key(prefix)
    except KeyInvalid:
        raise SettingsError(
            "the storage URL's prefix may contain only letters, digits, '.', '_', '-' and '/'"
        ) from None
    return f"{prefix}/"


def _endpoint(url: str | None) -> str | None:
    if url is not None and not (urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname):
        raise SettingsError("the S3 endpoint URL must begin with http:// or https:// and a host")
    return url


def try_at_start(storage: Storage) -> None:
    """Raise SettingsError if the store is reachable but cannot be used.

    If the store is not reachable yet, only log a warning.
    """
    try:
        check_usable(storage)
    except StorageUnavailable as error:
        log.warning("the object store cannot be reached yet", extra={"reason": error.reason})


def check_usable(storage: Storage) -> None:
    """Raise SettingsError if the store cannot be used, and StorageUnavailable if it cannot be reached."""
    try:
        check_create_once(storage)
        next(iter(storage.list(TRIALS)), None)
    except StorageUnavailable as error:
        if not error.refused:
            raise
        raise SettingsError(
            f"the object store responds, but cannot be used ({error.reason}): it must allow objects to be read, "
            "listed, deleted, and created only if absent (which needs If-None-Match: *, or hard links)"
        ) from None


def check_writable(storage: Storage) -> None:
    """Raise StorageUnavailable if a trial object cannot be created and deleted. Sends two requests."""
    key = f"{TRIALS}{secrets.token_hex(16)}"
    try:
        storage.create(key, b"trial")
    finally:
        storage.delete(key)


def check_create_once(storage: Storage) -> None:
    """Raise SettingsError if the store creates an object although its key is in use.

    Every guarantee of the service depends on the store's refusal to do this. If two workers both believed that they had
    created `result.json`, the job would end twice. Raises StorageUnavailable if the store does not respond.
    """
    key = f"{TRIALS}{secrets.token_hex(16)}"
    storage.create(key, b"first")
    try:
        with suppress(ObjectExists):
            storage.create(key, b"second")
            raise SettingsError("the object store accepts two creates of one key, so it cannot be used")
        if storage.get(key) != b"first":
            raise SettingsError(
                "the object store overwrites an object although it refuses to create it, so it cannot be used"
            )
    finally:
        storage.delete(key)
