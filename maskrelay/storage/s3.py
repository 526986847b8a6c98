"""Objects in a bucket of S3 or of a server that speaks its protocol."""

import math
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from maskrelay.errors import KeyInvalid, ObjectExists, ObjectMissing, StorageUnavailable
from maskrelay.network.certificates import ca_bundle
from maskrelay.storage.protocol import (
    BINARY,
    CHUNK_BYTES,
    ObjectFacts,
    check_key,
    check_prefix,
    check_range,
    unavailable,
)
from maskrelay.storage.s3_errors import MISSING, TAKEN, s3_errors
from maskrelay.storage.s3_writer import S3Writer

_CONNECT_SECONDS = 3
_READ_SECONDS = 20
_CONNECTIONS = 32
_CREATE_PAUSES = (0.1, 0.4)  # seconds before the second and the third try


class S3Storage:
    """A `Storage` in `bucket` under `prefix` (empty, or ending in `/`); credentials by boto3's usual chain.

    The server has to honour `If-None-Match: *`: `check_create_once` says whether it does. The credentials need
    ListBucket, or a missing object looks like a denied one. The bucket's lifecycle should abort stale multipart
    uploads.
    """

    def __init__(self, bucket: str, prefix: str = "", endpoint_url: str | None = None) -> None:
        session = _session()
        self._client = session.client("s3", endpoint_url=endpoint_url, config=_config(endpoint_url, 3))
        # `create` repeats its own call, since only it can tell its own object by the nonce.
        self._once = session.client("s3", endpoint_url=endpoint_url, config=_config(endpoint_url, 1))
        self._bucket = bucket
        self._prefix = prefix

    def _named(self, key: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def create(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        nonce = secrets.token_hex(16)
        for pause in _CREATE_PAUSES:
            with suppress(StorageUnavailable):
                return self._create(key, body, content_type, nonce)
            time.sleep(pause)
        return self._create(key, body, content_type, nonce)

    def _create(self, key: str, body: bytes, content_type: str, nonce: str) -> None:
        try:
            with s3_errors(TAKEN):
                self._once.put_object(
                    **self._named(key),
                    Body=body,
                    ContentType=content_type,
                    Metadata={"nonce": nonce},
                    IfNoneMatch="*",
                )
        except ObjectExists:
            if self._nonce(key) != nonce:
                raise

    def _nonce(self, key: str) -> str | None:
        """Who made the object. A 409 can also mean that it went in this moment: then the write is tried again."""
        try:
            metadata: dict[str, str] = self._head(key)["Metadata"]
        except ObjectMissing:
            raise unavailable("ConditionalRequestConflict") from None
        return metadata.get("nonce")

    def put(self, key: str, body: bytes, content_type: str = BINARY) -> None:
        with s3_errors():
            self._client.put_object(**self._named(key), Body=body, ContentType=content_type)

    def writer(self, key: str, content_type: str = BINARY) -> S3Writer:
        return S3Writer(self._client, self._named(key), content_type)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.stream(key, start, length))

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        check_range(start, length)
        chunks = self._read(key, start, length)
        next(chunks)  # asks for the object: a missing one is known here
        return chunks

    def _read(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        body = self._body(key, start, length)
        if body is None:
            yield b""
            return
        try:
            yield b""
            while True:
                with s3_errors():
                    chunk = body.read(CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
        finally:
            body.close()

    def _body(self, key: str, start: int, length: int | None) -> Any | None:
        """The answer's body, or None when the object has no byte in the range, for which S3 has an error."""
        if length == 0:
            self.head(key)
            return None
        last = "" if length is None else str(start + length - 1)
        part = {"Range": f"bytes={start}-{last}"} if start or last else {}
        try:
            with s3_errors(MISSING):
                return self._client.get_object(**self._named(key), **part)["Body"]
        except StorageUnavailable as error:
            if error.fields["reason"] in {"InvalidRange", "416"}:
                return None
            raise

    def head(self, key: str) -> ObjectFacts:
        facts = self._head(key)
        return ObjectFacts(facts["ContentLength"], facts["LastModified"])

    def _head(self, key: str) -> dict[str, Any]:
        try:
            with s3_errors(MISSING):
                facts: dict[str, Any] = self._client.head_object(**self._named(key))
        except ObjectMissing:
            # The answer to HEAD has no body that says whether the object is missing or the whole bucket.
            with s3_errors():
                self._client.head_bucket(Bucket=self._bucket)
            raise
        return facts

    def delete(self, key: str) -> None:
        with s3_errors():
            self._client.delete_object(**self._named(key))

    def presign(self, key: str, lifetime: timedelta) -> str:
        told = math.ceil(lifetime.total_seconds())
        with s3_errors():
            address: str = self._client.generate_presigned_url("get_object", Params=self._named(key), ExpiresIn=told)
        return address

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        check_prefix(prefix)
        return self._keys(prefix, after)

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        begin = {"StartAfter": self._prefix + after} if after else {}
        pages = self._client.get_paginator("list_objects_v2")
        with s3_errors():
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix, **begin):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._prefix)
                    with suppress(KeyInvalid):  # a stranger's object, such as a console's folder marker
                        check_key(key)
                        yield key


def _session() -> Any:
    """A session whose clients, those that fetch credentials included, trust our authorities too."""
    session = botocore.session.get_session()
    session.set_config_variable("ca_bundle", ca_bundle("AWS_CA_BUNDLE"))
    return boto3.session.Session(botocore_session=session)


def _config(endpoint_url: str | None, attempts: int) -> Config:
    return Config(
        signature_version="s3v4",  # a presigned address would get an older one
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # A server at an address of its own rarely has a host name for every bucket; AWS has one in the bucket's region,
        # which addresses that are given away have to name.
        s3={"addressing_style": "path" if endpoint_url else "virtual"},
        # Checksum trailers break servers older than them; without, the signature covers the body's hash.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
