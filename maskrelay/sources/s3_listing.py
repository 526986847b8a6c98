"""Listings of S3 by boto3, for prefixes that contain keys which obstore cannot represent.

obstore gives up a listing at a key such as `scans//1.dcm`, which any program can create.
"""

from collections.abc import Iterator
from typing import Any

from botocore.handlers import disable_signing

from maskrelay.errors import SourceForbidden, SourceUnavailable, StorageUnavailable
from maskrelay.sources.credential_kinds import S3Credential
from maskrelay.storage.s3_clients import S3Account, S3Clients
from maskrelay.storage.s3_errors import s3_errors


def listed_by_boto3(
    credential: S3Credential, bucket: str, secret: str | None, prefix: str, after: str | None
) -> Iterator[dict[str, Any]]:
    """Yield the objects below a prefix after the key `after`, in the form of obstore, in the order of their keys.

    Folder markers, whose keys end with `/`, are left out. Raises SourceForbidden or SourceUnavailable.
    """
    try:
        for entry in _entries(credential, bucket, secret, prefix, after):
            key = entry["Key"]
            if not key.endswith("/") and (after is None or key > after):  # not every server honours `StartAfter`
                yield {"path": key, "size": entry["Size"], "e_tag": entry.get("ETag"), "version": None}
    except StorageUnavailable as error:
        if error.refused:
            raise SourceForbidden(f"{SourceForbidden.message()} ({error.reason})") from None
        raise SourceUnavailable(reason=error.reason) from None


def _entries(
    credential: S3Credential, bucket: str, secret: str | None, prefix: str, after: str | None
) -> Iterator[dict[str, Any]]:
    token = credential.session_token.get_secret_value() if credential.session_token else None
    account = S3Account(credential.region, credential.access_key_id, secret, token)
    client = S3Clients.open(bucket, credential.endpoint_url, account=account).now().client
    if credential.anonymous:
        client.meta.events.register("choose-signer.s3.*", disable_signing)
    begin = {"StartAfter": after} if after else {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **begin)
    with s3_errors():
        for page in pages:
            yield from page.get("Contents", ())
