"""Check that the store responds, supports create-if-absent and has free space, and that its clock is right."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from maskrelay.admin.checks.finding import Finding, clock, ok, warn, wrong
from maskrelay.contract.records import keys
from maskrelay.errors import SettingsError, StorageUnavailable
from maskrelay.settings import Settings
from maskrelay.storage.factory import check_create_once, open_configured
from maskrelay.storage.protocol import Storage

_LITTLE, _NONE = 2 << 30, 256 << 20  # the free space, in bytes, below which there is a warning or an error
#: The precision of the times that a store reports. Some stores report whole seconds.
_COARSE = timedelta(seconds=1)
_ROLE = "check the credentials or the role: they need Get, Put, Delete and List on the bucket"
_AZURE_ROLE = (
    "check the firewall of the account, the permissions of the signature (racwdl), or the role of the identity "
    "(Storage Blob Data Contributor)"
)
_HOST = "check the address of the store (MASKRELAY_S3_ENDPOINT_URL, the Azure account), DNS and firewalls"
_HINTS = {
    "NoSuchBucket": "create the bucket, or check its name in MASKRELAY_STORAGE_URL",
    "AccessDenied": _ROLE,
    "InvalidAccessKeyId": "this server does not know the access key",
    "SignatureDoesNotMatch": "the secret of the access key is wrong",
    "RequestTimeTooSkewed": "set this machine's clock: the server refuses requests that are signed with a wrong time",
    "NoCredentialsError": "give this process credentials: for S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a "
    "credentials file or a role; for Azure, MASKRELAY_AZURE_CONNECTION_STRING or an identity",
    "NoRegionError": "set AWS_REGION",
    "403": _ROLE,
    "AuthenticationFailed": "Azure does not accept the account key, the signature, or this machine's clock",
    "AuthorizationFailure": _AZURE_ROLE,
    "AuthorizationPermissionMismatch": _AZURE_ROLE,
    "ContainerNotFound": "create the container, or check its name in MASKRELAY_STORAGE_URL",
    "EndpointConnectionError": _HOST,
    "ConnectTimeoutError": _HOST,
    "SSLError": "the server's certificate was issued by an unknown authority; add the authority to MASKRELAY_CA_FILE",
}
_OWN = "use another store, or enable conditional writes (If-None-Match): the service's guarantees depend on them"
_FOLDER = "check MASKRELAY_STORAGE_URL, the owner of the folder, and whether it is mounted writable"


def check(settings: Settings) -> Iterator[Finding]:
    """Check the clock and create-if-absent with trial objects. For a folder, also check the free space."""
    try:
        storage = open_configured(settings)
        yield _clock(storage)
        next(iter(storage.list(keys.LIVE)), None)
        yield ok("store", "responds: an object was written, read, listed and removed")
        yield _creates_once(storage)
    except SettingsError as error:
        yield wrong("store", error.detail, "docs/reference/settings.md shows the forms of MASKRELAY_STORAGE_URL")
    except StorageUnavailable as error:
        hint = _HINTS.get(error.reason, _FOLDER if _is_folder(settings) else "read the server's log")
        yield wrong("store", error.detail, hint)
    if _is_folder(settings):
        yield from _room(Path(unquote(urlsplit(settings.storage_url).path)))


def _creates_once(storage: Storage) -> Finding:
    try:
        check_create_once(storage)
    except SettingsError as error:
        return wrong("store creates once", error.detail, _OWN)
    return ok("store creates once", "creating the same key twice is refused")


def _clock(storage: Storage) -> Finding:
    """Compare this machine's clock with the time that the store records for a new object."""
    key = f"trials/{secrets.token_hex(16)}"
    began = datetime.now(UTC)
    storage.put(key, b"")
    try:
        took = datetime.now(UTC) - began
        return clock("store clock", storage.head(key).modified - began - took / 2, _COARSE + took / 2)
    finally:
        storage.delete(key)


def _is_folder(settings: Settings) -> bool:
    return urlsplit(settings.storage_url).scheme == "file"


def _room(folder: Path) -> Iterator[Finding]:
    """Check the free bytes and inodes of the file system that contains the folder."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return  # check() has already reported that the folder cannot be used
    free = system.f_bavail * system.f_frsize
    hint = "free some space, or move the folder; without space no jobs are accepted"
    said = f"{free >> 20} MiB free"
    if free < _LITTLE:
        yield Finding("store room", "warn" if free >= _NONE else "wrong", said, hint)
    elif system.f_files and system.f_favail < system.f_files // 100:
        yield warn("store room", "fewer than 1 % of the inodes are free", hint)
    else:
        yield ok("store room", said)
